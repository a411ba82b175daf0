"""A model in fewer bits, through the command line, with the frameworks' own quantisers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper, numpy_helper

from support.models import make_onnx_identity, make_python_function
from windlass.cli.main import cli
from windlass.config import parse_text
from windlass.errors import WindlassError
from windlass.optimize.quantize import write
from windlass.optimize.source import Source
from windlass.repository import scan_model, select
from windlass.samples import generate

pytestmark = pytest.mark.filterwarnings("ignore")

WINDLASS = str(Path(sys.executable).with_name("windlass"))
# Two threads that wait for each other are slower than one, on a machine that does other things too.
ALONE = (
    'parameters { key: "INFERENCE_NUM_THREADS" value { string_value: "1" } } '
    'parameters { key: "intra_op_thread_count" value { string_value: "1" } } '
    'parameters { key: "INTRA_OP_THREAD_COUNT" value { string_value: "1" } } max_batch_size: 8'
)


def make_onnx_network(path: Path, scale: float = 1.0) -> None:
    """``image`` FP32 [1,8,8] to five ``scores``: a convolution and two products, with an open batch."""
    random = np.random.default_rng(0)
    weights = {
        "kernel": random.standard_normal((8, 1, 3, 3)) / 3,
        "first": random.standard_normal((288, 64)) / 17,
        "second": random.standard_normal((5, 64)) / 8 * scale,
        "bias": random.standard_normal(5) / 10,
    }
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["edges"]),
        helper.make_node("Relu", ["edges"], ["found"]),
        helper.make_node("Flatten", ["found"], ["flat"]),
        helper.make_node("MatMul", ["flat", "first"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "second", "bias"], ["scores"], transB=1),
    ]
    floats = onnx.TensorProto.FLOAT
    inputs = [helper.make_tensor_value_info("image", floats, ["n", 1, 8, 8])]
    outputs = [helper.make_tensor_value_info("scores", floats, ["n", 5])]
    arrays = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "network", inputs, outputs, arrays)
    path.parent.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def make_openvino_network(path: Path) -> None:
    import openvino

    beside = path.parent.with_name("source")
    make_onnx_network(beside / "model.onnx")
    path.parent.mkdir(parents=True)
    openvino.save_model(openvino.convert_model(beside / "model.onnx"), path, compress_to_fp16=False)
    shutil.rmtree(beside)


def make_torch_network(path: Path, *, linear: bool = True) -> None:
    """``ids`` INT64 [-1] to ``scores`` FP32 [5], or without linear layers ``image`` FP32 [1,8,8] to ``scores``."""
    import torch
    from torch import nn

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.mix, self.head = nn.Embedding(2000, 128), nn.Linear(128, 256), nn.Linear(256, 5)

        def forward(self, ids):
            return {"scores": self.head(torch.relu(self.mix(self.words(ids))).mean(1))}

    class Edges(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.edges = nn.Conv2d(1, 5, 8)

        def forward(self, image):
            return {"scores": self.edges(image).flatten(1)}

    torch.manual_seed(0)
    module, example = (Words(), torch.ones(2, 7, dtype=torch.long)) if linear else (Edges(), torch.ones(2, 1, 8, 8))
    axes = {0: torch.export.Dim.AUTO, **({1: torch.export.Dim.AUTO} if linear else {})}
    path.parent.mkdir(parents=True)
    torch.export.save(torch.export.export(module.eval(), (example,), dynamic_shapes=(axes,)), path)


def put(models: Path, name: str, file: str, make, config: str = ALONE) -> Path:
    make(models / name / "1" / file)
    (models / name / "config.pbtxt").write_text(config)
    return models / name


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> Path:
    """The same network in two formats, and one of words in PyTorch's; made once and copied."""
    path = tmp_path_factory.mktemp("networks")
    put(path, "onnx", "model.onnx", make_onnx_network)
    put(path, "openvino", "model.xml", make_openvino_network)
    put(path, "words", "model.pt2", make_torch_network)
    return path


@pytest.fixture
def models(tmp_path, networks) -> Path:
    shutil.copytree(networks, tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Eighty images; a third of them are labelled as nobody would."""
    file = tmp_path_factory.mktemp("data") / "images.npz"
    random = np.random.default_rng(1)
    np.savez(file, image=random.standard_normal((80, 1, 8, 8)).astype(np.float32))
    return file


@pytest.fixture(scope="module")
def sentences(tmp_path_factory) -> Path:
    """Sixty sentences of different lengths."""
    file = tmp_path_factory.mktemp("data") / "sentences.jsonl"
    random = np.random.default_rng(1)
    lines = (json.dumps({"ids": random.integers(0, 100, 4 + at % 5).tolist()}) for at in range(60))
    file.write_text("\n".join(lines))
    return file


class Done:
    """What came of a run of ``windlass quantize`` in this process, where frameworks are imported already."""

    def __init__(self, models: Path, *arguments: object) -> None:
        command = ["quantize", *map(str, arguments), "--repository", str(models)]
        self._result = CliRunner().invoke(cli, command)
        found = self._result.exception
        self.error = found if isinstance(found, WindlassError) else None
        if found and not self.error and not isinstance(found, SystemExit):
            raise found
        # What escapes to `main` ends the process with 2.
        self.code = 2 if self.error else self._result.exit_code
        told = f"error: {self.error}\nfound: {self.error.found}\nhint: {self.error.hint}" if self.error else ""
        self.said, self.shown = self._result.stderr + told, self._result.stdout

    @property
    def json(self) -> dict:
        return json.loads(self.shown)


def listing(models: Path) -> list[str]:
    return sorted(str(path.relative_to(models)) for path in models.rglob("*"))


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".pbtxt")


@pytest.mark.parametrize(
    ("model", "to", "most"),
    [
        ("onnx", "int8", 0.4),
        ("onnx", "int8-dynamic", 0.4),
        ("onnx", "fp16", 0.6),
        ("openvino", "int8", 0.6),
        ("openvino", "int8-dynamic", 0.6),
        ("openvino", "fp16", 0.7),
    ],
)
def test_a_version_in_fewer_bits_is_smaller_and_answers_alike(models, images, model, to, most):
    done = Done(models, model, "--to", to, "--calibration", images, "--json")

    assert done.code == 0, done.said
    assert done.json["passes"]
    assert done.json["outputs"][0]["cosine"] > 0.99
    before, after = (bytes_of(models / model / version) for version in ("1", "2"))
    assert done.json["size_bytes"] == {"before": before, "after": after}
    assert after < most * before
    assert done.json["samples_per_second"]["after"]["median"] > 0
    assert f"wrote `{models / model / '2'}`, which is not served yet" in done.said


def test_bfloat16_on_openvino_is_a_setting_of_the_version(models):
    from openvino import Core

    done = Done(models, "openvino", "--to", "bf16")

    if "BF16" not in Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert (done.code, "does not compute in bfloat16" in done.said) == (2, True)
        return
    assert done.code == 0, done.said
    config = parse_text((models / "openvino" / "2" / "config.pbtxt").read_text(), "config.pbtxt")
    assert config.parameters["INFERENCE_PRECISION_HINT"].string_value == "bf16"
    assert bytes_of(models / "openvino" / "2") == pytest.approx(bytes_of(models / "openvino" / "1"), rel=0.1)


@pytest.mark.parametrize(("to", "most"), [("int8", 0.5), ("int8-dynamic", 0.5), ("bf16", 0.6)])
def test_linear_layers_and_tables_of_pytorch_have_fewer_bits(models, sentences, to, most):
    done = Done(models, "words", "--to", to, "--calibration", sentences, "--json")

    assert done.code == 0, done.said
    assert done.json["outputs"][0]["cosine"] > 0.99
    assert bytes_of(models / "words" / "2") < most * bytes_of(models / "words" / "1")


def test_what_torchao_quantised_is_served_without_it(models, sentences):
    assert Done(models, "words", "--to", "int8-dynamic", "--data", sentences).code == 0

    with zipfile.ZipFile(models / "words" / "2" / "model.pt2") as archive:
        texts = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".json")]

    assert any("torch.ops.aten._int_mm" in text for text in texts)
    assert not any("torch.ops.torchao" in text for text in texts)


def test_what_is_served_stays_until_somebody_switches(models, images):
    assert Done(models, "onnx", "--to", "int8-dynamic", "--data", images).code == 0
    entry = scan_model(models / "onnx")
    assert sorted(entry.versions) == [1, 2]
    assert select(entry.config, entry.versions) == (1,)

    assert Done(models, "onnx:1", "--to", "fp16", "--data", images, "--apply").code == 0

    entry = scan_model(models / "onnx")
    assert select(entry.config, entry.versions) == (3,)


def test_names_types_and_the_open_batch_stay(models, images):
    assert Done(models, "onnx", "--to", "int8", "--calibration", images).code == 0
    graph = onnx.load(models / "onnx" / "2" / "model.onnx").graph
    shapes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert {name: (bool(shape[0]), shape[1:]) for name, shape in shapes.items()} == {
        "image": (True, [1, 8, 8]),
        "scores": (True, [5]),
    }
    assert all(isinstance(shape[0], str) for shape in shapes.values())


def test_right_answers_are_counted_where_they_are_known(models, images, tmp_path):
    import onnxruntime

    given = np.load(images)["image"]
    session = onnxruntime.InferenceSession(models / "onnx" / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    np.savez(tmp_path / "right.npz", image=given, labels=session.run(None, {"image": given})[0].argmax(1))

    done = Done(
        models, "onnx", "--to", "int8", "--calibration", images, "--data", tmp_path / "right.npz", "--accuracy-drop=5%"
    )

    assert done.code == 0, done.said
    assert "right answers" in done.shown
    assert "100.0%" in done.shown


def test_calibration_takes_other_samples_than_the_comparison(models, images):
    done = Done(models, "onnx", "--to", "int8", "--calibration", images, "--json")
    assert "by 40 samples" in done.said
    assert done.json["samples"] == 40


def test_int8_is_not_calibrated_with_what_nobody_asks(models):
    done = Done(models, "onnx", "--to", "int8")
    assert done.code == 2
    assert "`--to int8` needs calibration data" in done.said
    assert "add `--calibration DATA` with 100 to 300 real inputs, or choose `--to int8-dynamic` without" in done.said


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"image": np.zeros((4, 3, 8, 8), np.float32)}, "expected FP32 [samples, 1, 8, 8]"),
        ({"image": np.full((4, 1, 8, 8), "a")}, "`image`"),
        ({"image": np.full((4, 1, 8, 8), np.nan, np.float32)}, "NaN"),
        ({"image": np.zeros((0, 1, 8, 8), np.float32)}, "holds no samples"),
        ({"image": np.ones((9, 1, 8, 8), np.float32)}, "all 9 samples"),
        ({"picture": np.ones((4, 1, 8, 8), np.float32)}, "`image`"),
    ],
)
def test_calibration_data_that_do_not_fit_are_refused(models, tmp_path, arrays, told):
    np.savez(tmp_path / "data.npz", **arrays)
    before = listing(models)

    done = Done(models, "onnx", "--to", "int8", "--calibration", tmp_path / "data.npz")

    assert done.code == 2
    assert told in done.said
    assert listing(models) == before


def test_a_few_samples_serve_twice_and_that_is_said(models, tmp_path):
    np.savez(tmp_path / "few.npz", image=np.random.default_rng(2).standard_normal((6, 1, 8, 8)).astype(np.float32))
    done = Done(models, "onnx", "--to", "int8", "--calibration", tmp_path / "few.npz", "--min-cosine", "0.9")
    assert done.code == 0, done.said
    assert "note: 6 samples are few to read ranges off" in done.said
    assert "note: compared on the samples that the ranges were read off" in done.said


def test_one_that_answers_otherwise_is_not_kept_unless_wanted(models, images):
    before = listing(models)
    wanted = ("onnx", "--to", "int8", "--calibration", images, "--min-cosine", "0.9999999")

    done = Done(models, *wanted)

    assert done.code == 1
    assert "below 0.9999999" in done.said
    assert "lowest cosine" in done.shown
    assert listing(models) == before
    kept = Done(models, *wanted, "--force")
    assert kept.code == 0
    assert "kept all the same" in kept.said
    assert (models / "onnx" / "2" / "model.onnx").exists()


def test_numbers_too_large_for_halves_are_found(models, images):
    shutil.rmtree(models / "onnx")
    put(models, "onnx", "model.onnx", lambda path: make_onnx_network(path, scale=1e6))

    done = Done(models, "onnx", "--to", "fp16", "--data", images)

    assert done.code == 1
    assert "`onnx:1` in fp16 is no stand-in" in done.said
    assert not (models / "onnx" / "2").exists()


def test_constant_outputs_tell_nothing(models, images):
    shutil.rmtree(models / "onnx")
    put(models, "onnx", "model.onnx", lambda path: make_onnx_network(path, scale=0))

    done = Done(models, "onnx", "--to", "int8-dynamic", "--data", images)

    assert done.code == 1
    assert "output `scores` is the same whatever `onnx:1` is asked" in done.said


def test_what_has_nothing_to_quantise_says_so(models, tmp_path):
    make_onnx_identity(models / "plain" / "1" / "model.onnx")
    done = Done(models, "plain", "--to", "int8-dynamic")
    assert done.code == 2
    assert "nothing that ONNX Runtime quantises like this" in done.said


def test_what_has_8_bits_already_is_refused(models, images):
    assert Done(models, "onnx", "--to", "int8-dynamic", "--data", images).code == 0
    done = Done(models, "onnx:2", "--to", "int8-dynamic")
    assert done.code == 2
    assert "has 8 bits already" in done.said
    assert "quantise the version that it was made from" in done.said


def test_what_an_engine_cannot_do_is_said_with_what_can(models, tmp_path):
    make_python_function(models / "code" / "1" / "model.py")
    make_torch_network(models / "edges" / "1" / "model.pt2", linear=False)
    (models / "script" / "1").mkdir(parents=True)
    (models / "script" / "1" / "model.pt").write_bytes(b"")
    refused = {
        ("onnx", "bf16"): "ONNX Runtime computes nothing in bfloat16",
        ("code", "int8-dynamic"): "is Python code",
        ("edges", "int8-dynamic"): "has no linear layer",
        ("script", "int8-dynamic"): "export it first: `windlass export script:1 --to openvino`",
    }
    for (model, to), reason in refused.items():
        done = Done(models, model, "--to", to)
        assert done.code == 2
        assert reason in done.said


@pytest.mark.parametrize(("model", "number"), [("openvino", signal.SIGINT), ("onnx", signal.SIGTERM)])
def test_an_interrupted_one_leaves_nothing(models, images, tmp_path, model, number):
    before, temporary = listing(models), tmp_path / "temporary"
    temporary.mkdir()
    command = [WINDLASS, "quantize", model, "--to", "int8", "--calibration", images, "--repository", models]
    with subprocess.Popen(
        list(map(str, command)),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as process:
        assert process.stderr
        assert "making int8" in process.stderr.readline()
        process.send_signal(number)
        said = process.stderr.read()
    assert process.returncode == 2, said
    assert "error: interrupted" in said
    assert listing(models) == before
    assert not list(temporary.glob("windlass-*"))


def test_candidates_are_written_wherever_one_likes(models, tmp_path):
    entry = scan_model(models / "onnx")
    source = Source.of(entry, 1)
    folder = tmp_path / "candidate"
    folder.mkdir()

    config = write(source, folder, "int8-dynamic")

    assert config.backend == "onnxruntime"
    assert sorted(path.name for path in folder.iterdir()) == ["config.pbtxt", "model.onnx"]
    assert sorted(entry.versions) == [1]


def test_generated_samples_may_be_used_by_who_knows_what_that_means(models, tmp_path):
    from windlass.optimize.export.loaded import completed

    source = Source.of(scan_model(models / "onnx"), 1)
    write(source, tmp_path, "int8", generate(completed(source), 8))
    assert (tmp_path / "model.onnx").stat().st_size < bytes_of(models / "onnx" / "1") / 2
