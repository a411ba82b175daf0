"""Files that are served as they are: looked at, and copied."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from support.models import (
    make_exported_add_sub,
    make_onnx_add_sub,
    make_onnx_brightness,
    make_onnx_total,
    make_openvino_add_sub,
    make_torchscript_add_sub,
    make_torchscript_strings,
)
from windlass.errors import UsageError
from windlass.formats import Given, find, parse_input


def ends(tensors):
    return [(tensor.name, tensor.data_type.removeprefix("TYPE_"), list(tensor.shape)) for tensor in tensors]


def test_an_onnx_file_tells_everything(tmp_path):
    found = find(make_onnx_add_sub(tmp_path / "model.onnx")).inspect()
    assert ends(found.inputs) == [("INPUT0", "FP32", [-1, 16]), ("INPUT1", "FP32", [-1, 16])]
    assert ends(found.outputs) == [("OUTPUT0", "FP32", [-1, 16]), ("OUTPUT1", "FP32", [-1, 16])]
    assert found.operators == {"Add": 1, "Sub": 1}
    assert found.engines == ("onnxruntime", "openvino")
    assert found.as_dict()["size_bytes"] == (tmp_path / "model.onnx").stat().st_size


def test_parameters_are_counted_and_axes_are_not(tmp_path):
    file = tmp_path / "model.onnx"
    make_onnx_brightness(file)
    assert find(file).inspect().parameters == 0
    model = onnx.load(file)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((3, 5), np.float16), "w"))
    onnx.save(model, file)
    assert find(file).inspect().precisions == {"FP16": 15}


def _with_weights_beside(path):
    weight = onnx.numpy_helper.from_array(np.full((4, 2), 2, np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 9
    onnx.save(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    return path


def test_weights_beside_an_onnx_file_come_along(tmp_path, add):
    path = _with_weights_beside(tmp_path / "net.onnx")
    assert find(path).inspect().size_bytes > path.stat().st_size
    added = add(path)
    assert sorted(file.name for file in added.entry.versions[1].iterdir()) == ["model.onnx", "net.data"]


def test_weights_that_are_missing_or_elsewhere_are_told(tmp_path):
    path = _with_weights_beside(tmp_path / "net.onnx")
    (tmp_path / "net.data").unlink()
    with pytest.raises(UsageError, match=r"keeps weights in `net.data`"):
        find(path).inspect()
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data[0].value = "../../etc/passwd"
    onnx.save(model, path)
    with pytest.raises(UsageError, match="passwd") as refused:
        find(path).inspect()
    assert refused.value.found == "a path out of its folder"


def test_openvinos_ir_tells_everything(tmp_path):
    found = find(make_openvino_add_sub(tmp_path / "model.xml")).inspect()
    assert ends(found.inputs) == [("INPUT0", "FP32", [-1, 16]), ("INPUT1", "FP32", [-1, 16])]
    assert found.operators == {"Add": 1, "Subtract": 1}
    assert found.engines == ("openvino",)


def test_an_exported_program_tells_everything(tmp_path):
    found = find(make_exported_add_sub(tmp_path / "model.pt2", dictionary=True)).inspect()
    assert ends(found.inputs) == [("a", "FP32", [-1, 4]), ("b", "FP32", [-1, 4])]
    assert [name for name, _, _ in ends(found.outputs)] == ["sum", "difference"]
    assert found.operators == {"add.Tensor": 1, "sub.Tensor": 1}
    assert found.engines == ("pytorch",)


def test_a_scripted_module_without_weights_has_to_be_told_its_inputs(tmp_path, add):
    path = make_torchscript_add_sub(tmp_path / "net.pt")
    found = find(path).inspect()
    assert found.inputs is None
    assert found.operators == {"add": 1, "sub": 1}
    with pytest.raises(UsageError, match="does not tell the shape of its input `INPUT0`") as refused:
        add(path)
    assert "--input INPUT0:FP32" in refused.value.hint

    said = tuple(parse_input(f"{name}:FP32[-1,4]") for name in ("INPUT0", "INPUT1"))
    added = add(path, inputs=said)
    assert [(one.name, list(one.dims)) for one in added.config.output] == [("output__0", [4]), ("output__1", [4])]
    assert added.config.max_batch_size == 16


def test_inputs_that_are_no_tensors_are_not_served_without_a_configuration(tmp_path, add):
    with pytest.raises(UsageError, match=r"input `texts` is a List\[str\]"):
        add(make_torchscript_strings(tmp_path / "net.pt"))


def test_an_input_that_is_not_there_is_told(tmp_path):
    path = make_torchscript_add_sub(tmp_path / "net.pt")
    with pytest.raises(UsageError, match="no input `image`"):
        find(path, Given(inputs=(parse_input("image:FP32[-1,4]"),))).write(tmp_path)


def test_scalars_and_whole_requests_are_added_too(tmp_path, add):
    added = add(make_onnx_total(tmp_path / "total.onnx"))
    assert added.config.max_batch_size == 0
    assert not added.config.HasField("dynamic_batching")
    assert [list(one.dims) for one in added.config.input] == [[4], [1]]
