"""A model in another format, through the command line, with the frameworks themselves."""

import json
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from support.models import make_onnx_add_sub, make_openvino_add_sub, make_python_function
from support.modules import (
    make_attention_script,
    make_classifier,
    make_deciding_script,
    make_encoder,
    make_fixed_batch_script,
    make_passing,
    make_shadowing,
    make_training,
    make_two_outputs,
)
from windlass.cli.main import cli
from windlass.errors import WindlassError
from windlass.repository import scan_model, select
from windlass.samples import generate
from windlass.serving.solo import solo

pytestmark = pytest.mark.filterwarnings("ignore")

WINDLASS = str(Path(sys.executable).with_name("windlass"))
IDS = 'input { name: "ids" data_type: TYPE_INT64 dims: -1 }'
ATTENTION = f"""max_batch_size: 8 {IDS}
output {{ name: "mixed" data_type: TYPE_FP32 dims: [ -1, 16 ] }}
output {{ name: "twice" data_type: TYPE_INT64 dims: -1 }}"""
DECIDING = """max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: 4 } output { name: "y" data_type: TYPE_FP32 dims: 4 }"""
FIXED = """max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 3, 8, 8 ] } output { name: "y" data_type: TYPE_FP32 dims: 192 }"""


@pytest.fixture
def models(tmp_path) -> Path:
    path = tmp_path / "models"
    path.mkdir()
    return path


def put(models: Path, name: str, make, *arguments: object, file: str = "model.pt2", config: str = "") -> Path:
    make(models / name / "1" / file, *arguments)
    if config:
        (models / name / "config.pbtxt").write_text(config)
    return models / name


class Done:
    """What came of a run of ``windlass export``: in this process, where frameworks are imported already."""

    def __init__(self, models: Path, *arguments: object) -> None:
        command = ["export", *map(str, arguments), "--repository", str(models)]
        self._result = CliRunner().invoke(cli, command)
        self.error = self._result.exception if isinstance(self._result.exception, WindlassError) else None
        # What escapes to `main` ends the process with 2.
        self.code = 2 if self.error else self._result.exit_code
        self.said = self._result.stderr + (f"error: {self.error}\nhint: {self.error.hint}" if self.error else "")
        self.shown = self._result.stdout

    @property
    def json(self) -> dict:
        return json.loads(self.shown)


def listing(models: Path) -> list[str]:
    return sorted(str(path.relative_to(models)) for path in models.rglob("*"))


@pytest.mark.parametrize(
    ("to", "backend"), [("onnx", "onnxruntime"), ("openvino", "openvino"), ("torchscript", "pytorch")]
)
def test_an_exported_program_becomes_every_other_format_and_clients_notice_nothing(models, to, backend):
    put(models, "encoder", make_encoder)

    done = Done(models, "encoder", "--to", to, "--json")

    assert done.code == 0, done.said
    entry = scan_model(models / "encoder")
    assert entry.config_of(2).backend == backend
    assert select(entry.config, entry.versions) == (1,)
    with solo(entry, 1) as one:
        row = next(generate(one.config, 3, open_size=11).batches(3))
        before, seen = one.run(row), one.config
    with solo(entry, 2) as other:
        after = other.run(row)
        assert [list(other.config.input), list(other.config.output)] == [list(seen.input), list(seen.output)]
        assert other.config.max_batch_size == seen.max_batch_size
    assert before.keys() == after.keys() == {"tokens", "pooled", "lengths"}
    for name, array in before.items():
        np.testing.assert_allclose(after[name], array, atol=1e-5)


def test_batches_and_open_axes_are_compared_at_several_sizes(models):
    put(models, "encoder", make_encoder)
    report = Done(models, "encoder", "--to", "torchscript", "--json").json
    sizes = [(size["batch"], size["axes"], size["size"]) for size in report["asked"]]
    assert [batch for batch, axes, _ in sizes if not axes] == [1, 2, 3, 4]
    assert [size for _, axes, size in sizes if axes == ["ids[0]", "mask[0]"]] == [1, 7, 24, 33]
    # The two belong together, which the model says itself.
    assert {tuple(refusal["size"]["axes"]) for refusal in report["refused"]} == {("ids[0]",), ("mask[0]",)}
    assert {check["output"]: check["allowed"] for check in report["checks"]}["lengths"] == 0


def test_one_export_follows_another_and_apply_switches(models):
    put(models, "classifier", make_classifier)

    assert Done(models, "classifier", "--to", "onnx").code == 0
    done = Done(models, "classifier:2", "--to", "openvino", "--apply")

    assert done.code == 0
    assert "output__0" in done.shown
    assert "batch 1, 2, 3, 4" in done.shown
    assert "is served from now on" in done.said
    entry = scan_model(models / "classifier")
    assert select(entry.config, entry.versions) == (3,)
    assert sorted(path.name for path in (models / "classifier" / "3").iterdir()) == [
        "config.pbtxt",
        "model.bin",
        "model.xml",
    ]


@pytest.mark.parametrize("to", ["onnx", "openvino", "pt2"])
def test_torchscript_becomes_every_other_format(models, to):
    put(models, "attention", make_attention_script, file="model.pt", config=ATTENTION)
    done = Done(models, "attention", "--to", to, "--json")
    assert done.code == 0, done.said
    assert [check["output"] for check in done.json["checks"]] == ["mixed", "twice"]
    assert {size["size"] for size in done.json["asked"] if size["axes"]} == {1, 7, 24, 33}


def test_control_flow_that_depends_on_values_is_kept_or_refused(models):
    put(models, "deciding", make_deciding_script, file="model.pt", config=DECIDING)
    before = listing(models)

    refused = Done(models, "deciding", "--to", "pt2")

    assert refused.code == 2
    assert "PyTorch cannot export `deciding:1`: prim::Loop" in refused.said
    assert "hint: " in refused.said
    assert listing(models) == before
    assert Done(models, "deciding", "--to", "onnx").code == 0


@pytest.mark.parametrize(
    ("make", "file", "to", "reason", "hint"),
    [
        (make_onnx_add_sub, "model.onnx", "torchscript", "PyTorch writes ONNX and does not read it", "windlass add"),
        (make_onnx_add_sub, "model.onnx", "pt2", "PyTorch writes ONNX and does not read it", "windlass add"),
        (make_onnx_add_sub, "model.onnx", "onnx", "is ONNX already", "windlass export m:1 --to openvino"),
        (make_openvino_add_sub, "model.xml", "onnx", "reads other formats and writes only its own", "windlass add"),
        (make_python_function, "model.py", "onnx", "is Python code", "windlass add"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason_and_the_next_step(models, make, file, to, reason, hint):
    put(models, "m", make, file=file)
    before = listing(models)
    done = Done(models, "m", "--to", to)
    assert done.code == 2
    assert reason in done.said
    assert hint in done.said.partition("hint: ")[2]
    assert listing(models) == before


def test_given_inputs_are_compared_and_have_to_fit(models, tmp_path):
    put(models, "adder", make_onnx_add_sub, file="model.onnx")
    rows = np.arange(7 * 16, dtype=np.float32).reshape(7, 16)
    np.savez(tmp_path / "good.npz", INPUT0=rows, INPUT1=rows * 2)
    np.savez(tmp_path / "bad.npz", INPUT0=rows[:, :15], INPUT1=rows)

    good = Done(models, "adder", "--to", "openvino", "--data", tmp_path / "good.npz", "--json")
    assert good.code == 0, good.said
    assert good.json["inputs"].endswith("good.npz")
    # Four batches hold the first four rows; each of the others is asked by itself.
    assert [size["batch"] for size in good.json["asked"]] == [1, 2, 3, 4, 1, 1, 1]

    bad = Done(models, "adder:1", "--to", "openvino", "--data", tmp_path / "bad.npz")
    assert bad.code == 2
    assert "input `INPUT0`: expected FP32 [samples, 16]" in bad.said
    assert not (models / "adder" / "3").exists()


@pytest.mark.parametrize(
    ("kind", "said", "hint"),
    [
        ("constant", "is the same whatever it is asked", "--allow-constant"),
        ("nan", "holds NaN (batch 1)", "--data"),
        ("random", "is another one each time", "module.eval()"),
    ],
)
def test_answers_that_show_nothing_are_refused(models, kind, said, hint):
    put(models, "two", make_two_outputs, kind)
    before = listing(models)
    done = Done(models, "two", "--to", "torchscript")
    assert done.code == 1
    assert f"error: output `output__0` of the original {said}" in done.said
    assert hint in done.said
    assert listing(models) == before


def test_a_constant_output_can_be_accepted(models):
    put(models, "two", make_two_outputs, "constant")
    done = Done(models, "two", "--to", "torchscript", "--allow-constant")
    assert done.code == 0
    assert "nothing is shown of output__0" in done.said


def test_a_model_that_was_exported_while_training_is_refused(models):
    put(models, "training", make_training)
    done = Done(models, "training", "--to", "onnx")
    assert done.code in {1, 2}
    assert "module.eval()" in done.said


def test_a_batch_that_became_part_of_the_original_is_told(models):
    put(models, "fixed", make_fixed_batch_script, file="model.pt", config=FIXED)
    before = listing(models)
    done = Done(models, "fixed", "--to", "onnx")
    assert done.code == 2
    assert "cannot be served" in done.said
    assert "axes open" in done.said
    assert listing(models) == before


def test_another_answer_is_no_new_version(models):
    put(models, "classifier", make_classifier)
    before = listing(models)
    done = Done(models, "classifier", "--to", "openvino", "--tolerance", "0")
    assert done.code == 1
    assert "output__0" in done.shown
    assert "hint: nothing was written; where that is near enough, say so with `--tolerance`" in done.said
    assert listing(models) == before


def test_a_dry_run_writes_nothing(models):
    put(models, "classifier", make_classifier)
    before = listing(models)
    done = Done(models, "classifier", "--to", "torchscript", "--dry-run", "--json")
    assert done.code == 0
    assert done.json["passes"]
    assert listing(models) == before


def test_too_little_memory_or_disk_is_told_first(models, monkeypatch):
    put(models, "adder", make_onnx_add_sub, file="model.onnx")
    before = listing(models)
    with monkeypatch.context() as patched:
        patched.setattr("windlass.optimize.room.available_bytes", lambda: 1 << 20)
        done = Done(models, "adder", "--to", "openvino")
    assert done.code == 2
    assert "exporting `adder:1` to OpenVINO IR needs about" in done.said
    usage = shutil.disk_usage(models)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=0))
    done = Done(models, "adder", "--to", "openvino")
    assert done.code == 2
    assert "remove versions that nobody serves any more" in done.said
    assert listing(models) == before


def test_a_framework_that_is_missing_is_named_with_what_installs_it(models, monkeypatch):
    put(models, "classifier", make_classifier)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    done = Done(models, "classifier", "--to", "onnx")
    assert done.code == 2
    assert "pip install 'windlass[export]'" in done.said


def begun(models: Path, *arguments: str, **options: object) -> subprocess.Popen[str]:
    command = [WINDLASS, "export", *arguments, "--repository", str(models)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(models, number):
    put(models, "encoder", make_encoder)
    before = listing(models)
    process = begun(models, "encoder", "--to", "onnx")
    assert process.stderr is not None
    while not process.stderr.readline().startswith("converting"):
        assert process.poll() is None
    process.send_signal(number)
    _, said = process.communicate()
    assert said.splitlines()[-3:] == [
        "error: interrupted",
        "  found: nothing was written",
        "hint: run the command again",
    ]
    assert process.returncode == 2
    assert listing(models) == before


def test_an_output_may_be_an_input_and_may_come_twice_but_not_under_one_name(models):
    put(models, "passing", make_passing, ("same", "double", "again"))
    put(models, "named", make_passing, ("x", "double", "again"))
    assert Done(models, "passing", "--to", "openvino").code == 0
    for to in ("onnx", "openvino"):
        done = Done(models, "named", "--to", to)
        assert done.code == 2
        assert "are both called `x`" in done.said
    assert Done(models, "named", "--to", "torchscript").code == 0


def test_a_disk_that_is_full_leaves_nothing_and_frameworks_stay_silent(models):
    put(models, "encoder", make_encoder)
    before = listing(models)

    def no_large_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    process = begun(models, "encoder", "--to", "openvino", preexec_fn=no_large_files)
    shown, said = process.communicate()
    assert process.returncode == 2
    assert shown == ""
    assert [line.split()[0] for line in said.splitlines()] == ["asking", "converting", "error:", "hint:"]
    assert listing(models) == before


@pytest.mark.parametrize("names", [("linear", "add"), ("mul", "relu")])
def test_an_output_may_be_called_like_an_inner_value(models, names):
    put(models, "net", make_shadowing, names)
    done = Done(models, "net", "--to", "onnx", "--json")
    assert done.code == 0, done.said
    assert [check["output"] for check in done.json["checks"]] == list(names)


def test_an_output_of_torchscript_may_be_called_like_an_inner_value(models):
    names = ("/inner/Mul_output_0", "/inner/linear/Gemm_output_0")
    outputs = "".join(f'output {{ name: "{name}" data_type: TYPE_FP32 dims: 4 }}' for name in names)
    config = f'max_batch_size: 8 input {{ name: "x" data_type: TYPE_FP32 dims: 4 }} {outputs}'
    put(models, "net", make_shadowing, names, file="model.pt", config=config)
    done = Done(models, "net", "--to", "onnx")
    assert done.code == 0, done.said


def test_what_is_onnx_already_is_not_sent_back_there(models):
    value = onnx.helper.make_tensor_value_info
    square, number = value("x", onnx.TensorProto.FLOAT, ["N", 3, 3]), value("y", onnx.TensorProto.FLOAT, ["N"])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Det", ["x"], ["y"])], "net", [square], [number])
    file = models / "net" / "1" / "model.onnx"
    file.parent.mkdir(parents=True)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9), file)

    done = Done(models, "net", "--to", "openvino")

    assert done.code == 2
    assert "OpenVINO cannot hold `net:1`" in done.said
    assert done.said.endswith("hint: serve it as it is")
