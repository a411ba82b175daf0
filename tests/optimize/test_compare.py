"""Two versions on the same inputs, as a user asks for it: real models, real digits, the command line."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from support import models
from windlass.cli.main import cli
from windlass.errors import WindlassError

TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "object": TensorProto.STRING}


def answer(folder: Path, version: int, **outputs: list) -> None:
    """Make a version that gives ``x`` back as ``echo``, and each output as it is here, whatever it is asked."""
    nodes = [helper.make_node("Identity", ["x"], ["echo"])]
    values, arrays = [helper.make_tensor_value_info("echo", TensorProto.FLOAT, [1, 2])], []
    for name, given in outputs.items():
        array = np.array(given, dtype=object if isinstance(given[0], bytes) else None)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        arrays.append(numpy_helper.from_array(array, f"{name}_value"))
        nodes.append(helper.make_node("Identity", [f"{name}_value"], [name]))
        values.append(helper.make_tensor_value_info(name, TYPES[array.dtype.name], array.shape))
    _save(folder, version, nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])], values, arrays)


def classifier(folder: Path, version: int, weights: np.ndarray, *, x: str = "x", y: str = "scores") -> None:
    """Make a version of one layer, for batches."""
    nodes = [helper.make_node("MatMul", [x, "weights"], [y])]
    values = [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["N", len(weights)])]
    made = [helper.make_tensor_value_info(y, TensorProto.FLOAT, ["N", weights.shape[1]])]
    _save(folder, version, nodes, values, made, [numpy_helper.from_array(weights.astype(np.float32), "weights")])


def _save(folder, version, nodes, inputs, outputs, constants):
    graph = helper.make_graph(nodes, "m", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    path = folder / str(version) / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Three versions that tell digits, and what they are told from: the second is coarse, the third guesses."""
    folder = tmp_path_factory.mktemp("digits")
    images, labels = load_digits(return_X_y=True)
    images = images.astype(np.float32) / 16
    weights = LogisticRegression(max_iter=200).fit(images[:1400], labels[:1400]).coef_.T
    random = np.random.default_rng(0).standard_normal(weights.shape)
    for version, changed in enumerate((weights, np.round(weights * 32) / 32, random), 1):
        classifier(folder / "models" / "digits", version, changed)
    np.savez(folder / "data.npz", x=images[1400:], labels=labels[1400:])
    return folder


def compare(*arguments: object, repository: Path, code: int = 0) -> str:
    told = CliRunner().invoke(cli, ["compare", *map(str, arguments), "--repository", str(repository)])
    if isinstance(told.exception, WindlassError):
        raise told.exception
    assert told.exit_code == code, told.output
    return told.output


def compared(*arguments: object, repository: Path, code: int = 0) -> dict:
    return json.loads(compare(*arguments, "--json", repository=repository, code=code))


def outputs(found: dict) -> dict:
    return {one["name"]: one for one in found["outputs"]}


def test_two_versions_are_shown_with_the_samples_where_they_are_furthest_apart(digits):
    arguments = ("digits:1", "digits:2", "--data", digits / "data.npz", "--worst", 2)
    text = compare(*arguments, repository=digits / "models")
    assert f"digits:1 and digits:2 on 397 samples: {digits}/data.npz" in text
    assert "furthest apart" in text

    found = compared(*arguments, repository=digits / "models")

    [scores] = found["outputs"]
    assert 0 < scores["mean_abs"] < scores["max_abs"] < 1
    assert 0.999 < scores["lowest_cosine"] < scores["cosine"] < 1
    assert scores["top1_agreement"] > 0.98
    worst = scores["worst"]
    assert len(worst) == 2
    assert worst[0]["difference"] == scores["max_abs"] == pytest.approx(abs(worst[0]["a"] - worst[0]["b"]))
    assert worst[0]["source"] == f"{digits}/data.npz[{worst[0]['sample']}]"
    assert (found["metric"], found["within"], found["faults"]) == (None, True, [])


@pytest.mark.parametrize(
    ("version", "metric", "threshold", "code"),
    [
        (2, "accuracy", "1%", 0),
        (3, "accuracy", "1%", 1),
        (2, "cosine", "0.999", 0),
        (2, "lowest-cosine", "0.99999", 1),
        (3, "cosine", "0.9", 1),
        (2, "max-abs", "1", 0),
        (2, "max-abs", "0.01", 1),
        (2, "top1-agreement", "98%", 0),
        (3, "top1-agreement", "98%", 1),
    ],
)
def test_a_threshold_makes_a_verdict(digits, version, metric, threshold, code):
    asked = ("--metric", metric, "--threshold", threshold, "--data", digits / "data.npz", "--worst", 0)
    text = compare("digits:1", f"digits:{version}", *asked, repository=digits / "models", code=code)
    verdict = text.splitlines()[-1]
    assert verdict.startswith(f"{'beyond' if code else 'within'}: {metric} of `scores`: ")
    assert f"at {'most' if metric in ('accuracy', 'max-abs') else 'least'} " in verdict


def test_accuracy_is_that_of_both_sides(digits):
    asked = ("--metric", "accuracy", "--data", digits / "data.npz")
    metric = compared("digits:1", "digits:3", *asked, repository=digits / "models")["metric"]
    assert metric["a"] > 0.85
    assert metric["b"] < 0.4
    assert metric["value"] == pytest.approx(metric["a"] - metric["b"])


def test_a_real_process_ends_with_the_verdict_or_with_an_error(digits):
    windlass = Path(sys.executable).with_name("windlass")
    for version, code in ((1, 0), (3, 1), (9, 2)):
        command = [windlass, "compare", "digits:1", f"digits:{version}", "-r", digits / "models", "--limit", "4"]
        done = subprocess.run(
            [*command, "--metric=cosine", "--threshold=99%"], capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
    assert "model `digits` has no version `9`" in done.stderr


def test_versions_in_two_repositories_with_other_names_are_compared(digits, tmp_path):
    weights = np.eye(64, 10)
    classifier(tmp_path / "other", 1, weights, x="pixels", y="logits")
    found = compared("digits:1", tmp_path / "other", "--limit", 3, repository=digits / "models")
    assert list(outputs(found)) == ["scores"]
    assert found["notes"] == [
        "input `x` of A is compared with `pixels` of B, the only one there",
        "output `scores` of A is compared with `logits` of B, the only one there",
    ]


def test_renamed_inputs_and_outputs_are_found(tmp_path):
    models.make_onnx_add_sub(tmp_path / "m" / "1" / "model.onnx")
    pair(tmp_path / "m", 2)
    refused(tmp_path, "B takes the input `a`, which A does not", hint="--rename NAME=a")
    refused(tmp_path, "B has no input `c`", "--rename=INPUT0=c")
    refused(tmp_path, "A has neither an input nor an output `nothing`", "--rename=nothing=a")
    refused(tmp_path, "expected A=B", "--rename=INPUT0")

    names = {"INPUT0": "a", "INPUT1": "b", "OUTPUT0": "sum"}
    renamed = [f"--rename={old}={new}" for old, new in names.items()]
    found = compared("m:1", "m:2", *renamed, repository=tmp_path, code=1)

    assert outputs(found)["OUTPUT0"]["max_abs"] == 0
    assert found["faults"] == ["B has no output `OUTPUT1`"]
    assert "output `difference` is only in B" in found["notes"]
    assert compared("m:1", "m:2", *renamed, "--output=OUTPUT0", repository=tmp_path)["faults"] == []
    refused(tmp_path, "A has no output `sum`", *renamed, "--output=sum")


def pair(folder: Path, version: int) -> None:
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    tensors = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 16]) for n in ("a", "b", "sum", "difference")]
    _save(folder, version, nodes, tensors[:2], tensors[2:], [])


def refused(repository: Path, said: str, *arguments: object, a: str = "m:1", b: str = "m:2", hint: str = "") -> None:
    with pytest.raises(WindlassError) as caught:
        compare(a, b, *arguments, repository=repository)
    assert said in f"{caught.value.where}: {caught.value}"
    assert hint in str(caught.value.hint)


def test_every_kind_of_output_is_compared_as_it_can_be(tmp_path):
    answer(tmp_path / "m", 1, flat=[0.0, 0.0], label=[1, 2, 3], text=[b"a", b"b"], bad=[1.0, np.nan], half=[1.0, 2.0])
    answer(tmp_path / "m", 2, flat=[0.0, 0.0], label=[1, 2, 5], text=[b"a", b"c"], bad=[1.0, 0.0], half=[1.0, 2.5])

    found = compared("m:1", "m:2", "--limit=2", repository=tmp_path, code=1)

    by_name = outputs(found)
    assert (by_name["flat"]["cosine"], by_name["flat"]["max_abs"]) == (None, 0)
    assert (by_name["label"]["unequal"], by_name["label"]["max_abs"]) == (pytest.approx(1 / 3), 2)
    assert (by_name["text"]["unequal"], by_name["text"]["worst"][0]["b"]) == (0.5, "c")
    assert (by_name["bad"]["max_abs"], by_name["bad"]["worst"][0]["a"]) == ("inf", "nan")
    assert by_name["half"]["max_abs"] == 0.5
    notes = " ".join(found["notes"])
    for words in (
        "`label`: whole numbers",
        "`text`: strings",
        "`flat`: the cosine is undefined",
        "`flat` of A is the same",
    ):
        assert words in notes
    assert [fault[:50] for fault in found["faults"]] == ["output `bad`: NaN or infinite on one side only in "]


def test_a_metric_that_is_not_defined_says_why(tmp_path):
    answer(tmp_path / "m", 1, flat=[0.0, 0.0], label=[1, 2, 3], one=[1.0])
    answer(tmp_path / "m", 2, flat=[0.0, 0.0], label=[1, 2, 3], one=[1.0])
    refused(tmp_path, "`cosine` is not defined for any output", "--metric=cosine", "--output=flat")
    refused(tmp_path, "`top1-agreement` is not defined for any output", "--metric=top1-agreement", "--output=label")
    refused(tmp_path, "accuracy needs the right answers", "--metric=accuracy", hint="`label` to the lines of a .jsonl")
    refused(tmp_path, "there is no metric `cosin`", "--metric=cosin", hint="did you mean `cosine`?")
    refused(tmp_path, "expected a number", "--metric=cosine", "--threshold=high")
    refused(tmp_path, "`cosine` is at most 1", "--metric=cosine", "--threshold=99", hint="is `99%` meant?")
    refused(tmp_path, "a threshold needs a metric", "--threshold=0.9")
    assert "'nothing.npz' does not exist" in compare("m:1", "m:2", "--data=nothing.npz", repository=tmp_path, code=2)
    text = compare("m:1", "m:2", "--metric=cosine", "--threshold=1", repository=tmp_path)
    assert "note: not judged, having no cosine: `flat`, `label`, `one`" in text


def labelled(folder: Path, *labels: object) -> Path:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps({"x": [[1, 2]], "label": label}) + "\n" for label in labels))
    return path


def test_accuracy_is_of_what_names_a_class(tmp_path):
    for version, best in ((1, 2), (2, 1)):
        answer(tmp_path / "m", version, label=[best], text=[b"cat"], scores=[[0.0, 0.1 * best, 0.15]])
    (tmp_path / "m" / "config.pbtxt").write_text(
        'max_batch_size: 0 input { name: "x" data_type: TYPE_FP32 dims: [ 1, 2 ] }'
        'output { name: "echo" data_type: TYPE_FP32 dims: [ 1, 2 ] }'
        'output { name: "label" data_type: TYPE_INT64 dims: [ 1 ] }'
        'output { name: "text" data_type: TYPE_STRING dims: [ 1 ] }'
        'output { name: "scores" data_type: TYPE_FP32 dims: [ 1, 3 ] label_filename: "names.txt" }'
    )
    (tmp_path / "m" / "names.txt").write_text("dog\ncat\nbird\n")

    def metric(output, *labels):
        asked = ("--metric=accuracy", f"--output={output}", "--data", labelled(tmp_path, *labels))
        found = compared("m:1", "m:2", *asked, repository=tmp_path)["metric"]
        return found["a"], found["b"], found["value"]

    assert metric("label", 2, 1, 1, 1) == (0.25, 0.75, -0.5)
    assert metric("scores", 1, 2) == (0.5, 0.5, 0)
    assert metric("scores", "cat", "bird", "cat") == pytest.approx((2 / 3, 1 / 3, 1 / 3))
    assert metric("text", "cat", "dog") == (0.5, 0.5, 0)
    wrong = {"1.5": 1.5, "label 3": 3, "[1, 2]": [1, 2]}
    for said, label in wrong.items():
        with pytest.raises(WindlassError) as caught:
            metric("scores", label)
        assert said in str(caught.value.found)
    with pytest.raises(WindlassError, match="label `fish` is no class of output `scores`"):
        metric("scores", "fish")


def test_a_metric_of_ones_own_is_given_all_outputs_and_the_labels(digits, tmp_path):
    file = tmp_path / "own.py"
    (tmp_path / "beside.py").write_text("FACTOR = 2")
    file.write_text(
        "from beside import FACTOR\n"
        "def shape(a, b, labels):\n    assert a.keys() == b.keys() == {'scores'}\n"
        "    return FACTOR * len(a['scores']) + len(labels)\n"
        "def broken(a, b, labels):\n    return 1 / 0\n"
        "def text(a, b, labels):\n    return '1'\n"
        "def nan(a, b, labels):\n    return float('nan')\n"
        "def two(a, b):\n    return 0\n"
        "NUMBER = 3\n"
    )
    data = ("--data", digits / "data.npz", "--limit", 5)
    own, repository = ("--metric", f"{file}:shape"), digits / "models"

    metric = compared("digits:1", "digits:2", *data, *own, repository=repository)["metric"]

    assert (metric["value"], metric["better"]) == (15, "more")
    compare("digits:1", "digits:2", *data, *own, "--threshold=16", repository=repository, code=1)
    compare("digits:1", "digits:2", *data, *own, "--threshold=16", "--lower-is-better", repository=repository)
    for function, said in {
        "broken": f"{file}:6: metric `{file}:broken` failed: ZeroDivisionError: division by zero",
        "text": "returned no number",
        "nan": "returned no number",
        "two": "does not take the outputs of A, those of B, and the labels: too many positional",
        "NUMBER": "has no function `NUMBER`",
        "none": "has no function `none`",
    }.items():
        refused(repository, said, *data, "--metric", f"{file}:{function}", a="digits:1", b="digits:2")


def test_a_file_of_metrics_that_cannot_be_imported_is_told_with_its_line(digits, tmp_path):
    file = tmp_path / "own.py"
    for content, said in {
        "x = 1\nimport nothing_of_that_name\n": f"{file}:2: `{file}` cannot be imported: ModuleNotFoundError",
        "def f(:\n": f"{file}:1: `{file}` cannot be imported: SyntaxError",
        "raise SystemExit(0)": f"{file}:1: `{file}` cannot be imported: SystemExit",
    }.items():
        file.write_text(content)
        refused(digits / "models", said, "--metric", f"{file}:f", a="digits:1", b="digits:2")
    refused(digits / "models", "there is no `nothing.py`", "--metric=nothing.py:f", a="digits:1", b="digits:2")


def test_a_version_with_a_batch_is_compared_with_one_without(tmp_path):
    weights = np.eye(2, 3)
    classifier(tmp_path / "m", 1, weights)
    nodes = [helper.make_node("MatMul", ["x", "weights"], ["scores"])]
    fixed = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n]) for name, n in (("x", 2), ("scores", 3))]
    constants = [numpy_helper.from_array(2 * weights.astype(np.float32), "weights")]
    _save(tmp_path / "m", 2, nodes, fixed[:1], fixed[1:], constants)
    (tmp_path / "m" / "2" / "config.pbtxt").touch()
    for a, b in (("m:1", "m:2"), ("m:2", "m:1")):
        found = compared(a, b, "--limit=3", repository=tmp_path)
        [scores] = found["outputs"]
        assert scores["cosine"] == pytest.approx(1)
        assert scores["max_abs"] == pytest.approx(max(abs(w["a"] - w["b"]) for w in scores["worst"]))


def test_folders_of_images_are_compared_with_their_labels(tmp_path):
    from PIL import Image

    for version, size in ((1, 4), (2, 4)):
        classifier(tmp_path / "models" / "m", version, np.eye(size, 2) * version)
    for label, shade in (("dark", 10), ("light", 200)):
        (tmp_path / "images" / label).mkdir(parents=True)
        for name in "ab":
            Image.new("L", (5, 5), shade).save(tmp_path / "images" / label / f"{name}.png")
    (tmp_path / "models" / "m" / "config.pbtxt").write_text(
        'max_batch_size: 8 input { name: "x" data_type: TYPE_FP32 dims: [ 2, 2 ] reshape { shape: [ 4 ] } }'
        'output { name: "scores" data_type: TYPE_FP32 dims: [ 2 ] } version_policy { all {} }'
    )
    asked = ("--data", tmp_path / "images", "--metric=accuracy")
    found = compared("m:1", "m:2", *asked, repository=tmp_path / "models")
    assert found["samples"] == 4
    assert found["outputs"][0]["worst"][0]["source"] == f"{tmp_path}/images/light/a.png"
    assert found["metric"]["a"] == found["metric"]["b"] == 0.5


def test_a_model_that_fails_is_told_with_the_sample(tmp_path):
    for version in (1, 2):
        models.make_onnx_identity(tmp_path / "m" / str(version) / "model.onnx", shape=("N", None))
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", None]) for name in "xy"]
    constants = [numpy_helper.from_array(np.array([-1, 4]), "shape")]
    _save(tmp_path / "m", 2, nodes, tensors[:1], tensors[1:], constants)
    (tmp_path / "data.jsonl").write_text("[1, 2, 3, 4]\n[1, 2, 3]\n")
    refused(tmp_path, "data.jsonl:2: B does not answer: ", "--data", tmp_path / "data.jsonl")
    (tmp_path / "m" / "2" / "model.onnx").write_bytes(b"broken")
    refused(tmp_path, "version 2 of model `m` does not load")


def test_the_metric_of_the_guide_is_one(digits, tmp_path):
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "compare.md").read_text()
    [code] = re.findall(r"```python\n# measure.py\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "measure.py").write_text(code.replace("embedding", "scores"))
    own = ("--metric", f"{tmp_path}/measure.py:spearman", "--data", digits / "data.npz")
    close, far = (
        compared("digits:1", f"digits:{version}", *own, repository=digits / "models")["metric"]["value"]
        for version in (2, 3)
    )
    assert 0.99 < close < 1
    assert far < 0.9


def test_a_drop_of_just_what_is_allowed_is_allowed(tmp_path):
    classifier(tmp_path / "m", 1, np.eye(3))
    classifier(tmp_path / "m", 2, np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]]))
    labels = np.repeat([0, 1, 2], [500, 493, 7])
    np.savez(tmp_path / "data.npz", x=np.eye(3, dtype=np.float32)[labels], labels=labels)
    words = ("m:1", "m:2", "--data", tmp_path / "data.npz", "--metric=accuracy")

    compare(*words, "--threshold=0.7%", repository=tmp_path)
    compare(*words, "--threshold=0.6%", repository=tmp_path, code=1)


def test_what_is_better_is_said_of_ones_own_metric_only(digits):
    for words in (["--metric=cosine", "--threshold=0.9"], []):
        with pytest.raises(WindlassError, match="`--lower-is-better` is about a FUNCTION"):
            compare("digits:1", "digits:2", *words, "--lower-is-better", repository=digits / "models")
