"""Makers of tiny models, one for each format: deterministic, nothing is trained, a few hundred bytes each.

``path`` is the file to write; folders are made. Shapes are whole: ``"N"`` or ``None`` is an open dimension.
"""

import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

Shape = Sequence[int | str | None]

# Names of the protocol, of ONNX and of OpenVINO for the element types that each of them has.
ONNX_TYPES = {
    "BOOL": "BOOL",
    "UINT8": "UINT8",
    "UINT16": "UINT16",
    "UINT32": "UINT32",
    "UINT64": "UINT64",
    "INT8": "INT8",
    "INT16": "INT16",
    "INT32": "INT32",
    "INT64": "INT64",
    "FP16": "FLOAT16",
    "BF16": "BFLOAT16",
    "FP32": "FLOAT",
    "FP64": "DOUBLE",
    "BYTES": "STRING",
}
OPENVINO_TYPES = {
    "BOOL": "boolean",
    "UINT8": "u8",
    "UINT16": "u16",
    "UINT32": "u32",
    "UINT64": "u64",
    "INT8": "i8",
    "INT16": "i16",
    "INT32": "i32",
    "INT64": "i64",
    "FP16": "f16",
    "BF16": "bf16",
    "FP32": "f32",
    "FP64": "f64",
    "BYTES": "string",
}

PYTHON_IDENTITY = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "INPUT0", "data_type": "TYPE_FP32", "dims": [-1]})
        config.add_output({"name": "OUTPUT0", "data_type": "TYPE_FP32", "dims": [-1]})
        config.set_max_batch_size(64)
        config.set_dynamic_batching()
        return config

    def execute(self, requests):
        responses = []
        for request in requests:
            array = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", array)]))
        return responses
"""

PYTHON_FUNCTION = """
import windlass
from windlass import Tensor


@windlass.model(max_batch_size=64)
def double(x: Tensor["FP32", 4]) -> Tensor["FP32", 4]:
    return x * 2
"""


def make_onnx_identity(path: Path, data_type: str = "FP32", shape: Shape = ("N", 4)) -> Path:
    """``y = x``."""
    return _onnx(path, [("Identity", ["x"], ["y"], {})], {"x": (data_type, shape)}, {"y": (data_type, shape)})


def make_onnx_add_sub(path: Path, data_type: str = "FP32", shape: Shape = ("N", 16)) -> Path:
    """``OUTPUT0 = INPUT0 + INPUT1`` and ``OUTPUT1 = INPUT0 - INPUT1``."""
    nodes = [
        ("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"], {}),
        ("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"], {}),
    ]
    tensor = (data_type, shape)
    return _onnx(path, nodes, {"INPUT0": tensor, "INPUT1": tensor}, {"OUTPUT0": tensor, "OUTPUT1": tensor})


def make_onnx_strings(path: Path) -> Path:
    """``joined = left + right``, element by element."""
    tensor = ("BYTES", ("N", None))
    nodes = [("StringConcat", ["left", "right"], ["joined"], {})]
    return _onnx(path, nodes, {"left": tensor, "right": tensor}, {"joined": tensor})


def make_onnx_brightness(path: Path, size: int = 224) -> Path:
    """Image to scalar: the mean of each image, as one number that has no dimension besides the batch."""
    nodes = [
        ("ReduceMean", ["image", "axes"], ["mean"], {"keepdims": 0}),
    ]
    image = ("FP32", ("N", 3, size, size))
    constants = {"axes": np.array([1, 2, 3], np.int64)}
    return _onnx(path, nodes, {"image": image}, {"mean": ("FP32", ("N",))}, constants)


def make_onnx_ragged(path: Path) -> Path:
    """``y = 2 * x`` in one dimension, and ``sizes``, the shapes that the server tells of each row of ``x``."""
    nodes = [("Add", ["x", "x"], ["y"], {}), ("Identity", ["shapes"], ["sizes"], {})]
    flat, shapes = ("FP32", ("elements",)), ("INT32", ("N", None))
    return _onnx(path, nodes, {"x": flat, "shapes": shapes}, {"y": flat, "sizes": shapes})


def make_onnx_total(path: Path) -> Path:
    """Without a batch, and with scalars on both sides: ``total = sum(x) * scale``."""
    nodes = [("ReduceSum", ["x"], ["sum"], {"keepdims": 0}), ("Mul", ["sum", "scale"], ["total"], {})]
    return _onnx(path, nodes, {"x": ("FP32", (4,)), "scale": ("FP32", ())}, {"total": ("FP32", ())})


def _onnx(
    path: Path,
    nodes: Sequence[tuple[str, list[str], list[str], dict[str, int]]],
    inputs: dict[str, tuple[str, Shape]],
    outputs: dict[str, tuple[str, Shape]],
    constants: dict[str, np.ndarray] | None = None,
) -> Path:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def values(tensors: dict[str, tuple[str, Shape]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, getattr(TensorProto, ONNX_TYPES[data_type]), list(shape))
            for name, (data_type, shape) in tensors.items()
        ]

    graph = helper.make_graph(
        [helper.make_node(kind, given, made, **options) for kind, given, made, options in nodes],
        path.stem,
        values(inputs),
        values(outputs),
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 9
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def make_torchscript_add_sub(path: Path) -> Path:
    """``forward(INPUT0, INPUT1)`` returns their sum and their difference."""
    import torch

    class AddSub(torch.nn.Module):
        def forward(self, INPUT0: torch.Tensor, INPUT1: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: N803
            return INPUT0 + INPUT1, INPUT0 - INPUT1

    return _torchscript(path, AddSub())


def make_torchscript_dictionary(path: Path) -> Path:
    """``forward({"a": ..., "b": ...})`` returns ``{"sum": ..., "difference": ...}``."""
    import torch

    class Dictionary(torch.nn.Module):
        def forward(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"sum": tensors["a"] + tensors["b"], "difference": tensors["a"] - tensors["b"]}

    return _torchscript(path, Dictionary())


def make_torchscript_strings(path: Path) -> Path:
    """``forward(texts)`` takes and returns a list of strings."""
    import torch

    class Upper(torch.nn.Module):
        def forward(self, texts: list[str]) -> list[str]:
            return [text.upper() for text in texts]

    return _torchscript(path, Upper())


def make_torchscript_identity(path: Path) -> Path:
    """``forward(x)`` returns ``x``, of any type."""
    import torch

    class Identity(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    return _torchscript(path, Identity())


def make_torchscript_ragged(path: Path) -> Path:
    """``forward(x, shapes)`` returns ``2 * x`` in one dimension, and the shapes it is told."""
    import torch

    class Ragged(torch.nn.Module):
        def forward(self, x: torch.Tensor, shapes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x + x, shapes

    return _torchscript(path, Ragged())


def _torchscript(path: Path, module: object) -> Path:
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    with _without_warnings():
        torch.jit.script(module).save(str(path))
    return path


def make_exported_add_sub(path: Path, *, batched: bool = True, dictionary: bool = False) -> Path:
    """The sum and the difference of ``a`` and ``b``, which has to be given by its name."""
    import torch

    class AddSub(torch.nn.Module):
        def forward(self, a: torch.Tensor, *, b: torch.Tensor) -> object:
            return {"sum": a + b, "difference": a - b} if dictionary else (a + b, a - b)

    batch = {0: torch.export.Dim("batch", min=1, max=64)} if batched else {}
    # Two tensors: of one given twice the export would make one argument.
    a, b = torch.zeros(2, 4), torch.zeros(2, 4)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _without_warnings():
        program = torch.export.export(AddSub(), (a,), {"b": b}, dynamic_shapes={"a": batch, "b": batch})
        torch.export.save(program, path)
    return path


@contextmanager
def _without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def make_openvino_add_sub(path: Path, shape: Shape = ("N", 16)) -> Path:
    """IR of ``OUTPUT0 = INPUT0 + INPUT1`` and ``OUTPUT1 = INPUT0 - INPUT1``; ``path`` ends in ``.xml``."""
    from openvino import opset13 as ops

    inputs = [_openvino_input(name, "FP32", shape) for name in ("INPUT0", "INPUT1")]
    return _openvino(path, {"OUTPUT0": ops.add(*inputs), "OUTPUT1": ops.subtract(*inputs)}, inputs)


def make_openvino_identity(path: Path, data_type: str = "FP32", shape: Shape = ("N", 4)) -> Path:
    """IR of ``y = x``, by way of an operation that keeps what it is given."""
    from openvino import opset13 as ops

    x = _openvino_input("x", data_type, shape)
    return _openvino(path, {"y": ops.reshape(x, ops.shape_of(x), special_zero=False)}, [x])


def _openvino_input(name: str, data_type: str, shape: Shape) -> object:
    import openvino
    from openvino import opset13 as ops

    sizes = [size if isinstance(size, int) else -1 for size in shape]
    made = ops.parameter(sizes, getattr(openvino.Type, OPENVINO_TYPES[data_type]), name=name)
    made.output(0).set_names({name})
    return made


def _openvino(path: Path, outputs: dict[str, object], inputs: list[object]) -> Path:
    import openvino

    for name, node in outputs.items():
        node.output(0).set_names({name})
    path.parent.mkdir(parents=True, exist_ok=True)
    model = openvino.Model(list(outputs.values()), inputs, path.stem)
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


def make_python_identity(path: Path) -> Path:
    """``OUTPUT0 = INPUT0``, a ``TritonPythonModel`` that completes its own configuration."""
    return _text(path, PYTHON_IDENTITY)


def make_python_function(path: Path) -> Path:
    """``output = 2 * x``, a function under ``@windlass.model``."""
    return _text(path, PYTHON_FUNCTION)


def _text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
