"""A model gets into a repository whole, or not at all."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from support.models import make_onnx_add_sub, make_onnx_identity, make_openvino_identity, make_torchscript_identity
from windlass.errors import RepositoryError, UsageError, WindlassError
from windlass.formats import parse_input
from windlass.formats.add import name_for
from windlass.formats.version import inspect_version
from windlass.repository import scan_model, select


def graph(path, *nodes, constants=()):
    """A file of some operators from ``x`` to ``y``."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in ("x", "y"))
    made = helper.make_graph(list(nodes), "net", [x], [y], list(constants))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)
    return path


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_first_model_makes_its_repository_and_a_whole_configuration(tmp_path, add):
    added = add(make_onnx_add_sub(tmp_path / "net.onnx"), "adder")
    assert everything(tmp_path / "models") == ["adder", "adder/1", "adder/1/model.onnx", "adder/config.pbtxt"]
    assert (tmp_path / "models/adder/config.pbtxt").read_text() == (
        'name: "adder"\nbackend: "onnxruntime"\nmax_batch_size: 16\n'
        'input {\n  name: "INPUT0"\n  data_type: TYPE_FP32\n  dims: [16]\n}\n'
        'input {\n  name: "INPUT1"\n  data_type: TYPE_FP32\n  dims: [16]\n}\n'
        'output {\n  name: "OUTPUT0"\n  data_type: TYPE_FP32\n  dims: [16]\n}\n'
        'output {\n  name: "OUTPUT1"\n  data_type: TYPE_FP32\n  dims: [16]\n}\n'
        "dynamic_batching { }\n"
    )
    assert added.version == 1
    assert not added.findings


def test_a_second_version_goes_by_the_models_configuration_and_waits(tmp_path, add):
    add(make_onnx_identity(tmp_path / "a.onnx"), "net")
    added = add(make_onnx_identity(tmp_path / "b.onnx"), "net")
    assert added.version == 2
    assert everything(tmp_path / "models/net") == ["1", "1/model.onnx", "2", "2/model.onnx", "config.pbtxt"]
    model = scan_model(tmp_path / "models/net")
    assert select(model.config, model.versions) == (1,)


def test_a_version_of_another_engine_has_a_configuration_of_its_own(tmp_path, add):
    add(make_onnx_identity(tmp_path / "a.onnx"), "net")
    add(make_openvino_identity(tmp_path / "b.xml"), "net")
    add(make_torchscript_identity(tmp_path / "c.pt"), "net", inputs=(parse_input("x:FP32[-1,4]"),))
    model = scan_model(tmp_path / "models/net")
    assert not model.findings
    assert [model.config_of(version).backend for version in (1, 2, 3)] == ["onnxruntime", "openvino", "pytorch"]
    assert inspect_version(model, 3).format == "TorchScript"


def test_nothing_is_left_of_a_model_that_fails(tmp_path, add):
    with pytest.raises(UsageError, match="24 of 24 numbers are NaN"):
        add(_always_nan(tmp_path / "nan.onnx"), "net")
    assert not (tmp_path / "models").exists()
    add(make_onnx_identity(tmp_path / "a.onnx"), "net")
    before = everything(tmp_path / "models"), (tmp_path / "models/net/config.pbtxt").read_text()
    with pytest.raises(UsageError):
        add(_always_nan(tmp_path / "nan.onnx"), "net")
    assert (everything(tmp_path / "models"), (tmp_path / "models/net/config.pbtxt").read_text()) == before


def _always_nan(path):
    zero = helper.make_node("Sub", ["x", "x"], ["zero"])
    return graph(path, zero, helper.make_node("Div", ["zero", "zero"], ["y"]))


def test_a_model_with_nan_can_be_added_untried(tmp_path, add):
    assert add(_always_nan(tmp_path / "nan.onnx"), "net", run=False).version == 1


def test_an_interruption_leaves_nothing(tmp_path, add, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    add(make_onnx_identity(tmp_path / "a.onnx"), "net")
    before = everything(tmp_path / "models")
    monkeypatch.setattr("windlass.formats.add.run_once", interrupted)
    for name in ("net", "other"):
        with pytest.raises(KeyboardInterrupt):
            add(make_onnx_identity(tmp_path / "b.onnx"), name)
    assert everything(tmp_path / "models") == before


def test_a_first_axis_that_is_no_batch_is_found_out(tmp_path, add):
    # Over the first axis: rows that come together change each other.
    added = add(graph(tmp_path / "net.onnx", helper.make_node("Softmax", ["x"], ["y"], axis=0)), "net")
    assert added.config.max_batch_size == 0
    assert [list(one.dims) for one in added.config.input] == [[-1, 4]]
    assert "not answered as if each had come alone" in added.notes[0]


def test_an_output_that_never_changes_deserves_a_word(tmp_path, add):
    added = add(_constant(tmp_path / "net.onnx"), "net")
    (finding,) = added.findings
    assert finding.severity == "warning"
    assert "the same for 6 different inputs" in finding.message


def _constant(path):
    zero = onnx.numpy_helper.from_array(np.zeros(4, np.float32), "zero")
    return graph(path, helper.make_node("Mul", ["x", "zero"], ["y"]), constants=[zero])


def test_a_file_that_no_engine_loads_is_told(tmp_path, add):
    with pytest.raises(WindlassError, match="NoSuchOperator"):
        add(graph(tmp_path / "net.onnx", helper.make_node("NoSuchOperator", ["x"], ["y"])), "net")
    assert not (tmp_path / "models").exists()


def test_a_model_that_is_broken_gets_no_further_version(tmp_path, add):
    add(make_onnx_identity(tmp_path / "a.onnx"), "net")
    (tmp_path / "models/net/config.pbtxt").write_text("max_batch_sizes: 4")
    with pytest.raises(RepositoryError, match="max_batch_sizes"):
        add(make_onnx_identity(tmp_path / "a.onnx"), "net")
    assert not (tmp_path / "models/net/2").exists()


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "a b"])
def test_a_name_is_one_that_a_folder_may_have(tmp_path, add, name):
    with pytest.raises(UsageError, match="is no name for a model"):
        add(make_onnx_identity(tmp_path / "a.onnx"), name)


def test_a_repository_that_is_a_file_is_told(tmp_path, add):
    (tmp_path / "models").write_text("")
    with pytest.raises(RepositoryError, match="is no model repository"):
        add(make_onnx_identity(tmp_path / "a.onnx"))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("resnet50.onnx", "resnet50"),
        ("exports/digits/model.onnx", "digits"),
        ("nets/net.py:build", "net"),
        ("My Net (2).pt", "My-Net-2"),
        ("all-MiniLM-L6-v2/", "all-MiniLM-L6-v2"),
    ],
)
def test_a_name_is_found_in_the_path(path, name):
    assert name_for(path) == name
