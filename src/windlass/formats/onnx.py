"""ONNX files, with the files beside them that hold their weights."""

import shutil
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from windlass.backends.backend import missing
from windlass.backends.signature import TensorSignature
from windlass.config import ModelConfig
from windlass.config.datatypes import BY_CONFIG
from windlass.errors import UsageError
from windlass.formats import openvino
from windlass.formats.found import Written
from windlass.formats.given import Given
from windlass.formats.inspection import Inspection, ranked

# Domains of operators that every build of ONNX Runtime has.
_USUAL = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "ai.onnx.preview.training"}

_TYPES = {
    "BOOL": "TYPE_BOOL",
    "UINT8": "TYPE_UINT8",
    "UINT16": "TYPE_UINT16",
    "UINT32": "TYPE_UINT32",
    "UINT64": "TYPE_UINT64",
    "INT8": "TYPE_INT8",
    "INT16": "TYPE_INT16",
    "INT32": "TYPE_INT32",
    "INT64": "TYPE_INT64",
    "FLOAT16": "TYPE_FP16",
    "FLOAT": "TYPE_FP32",
    "DOUBLE": "TYPE_FP64",
    "STRING": "TYPE_STRING",
    "BFLOAT16": "TYPE_BF16",
}
# Integers of these types are shapes, axes and places, nothing that was learnt.
_NOT_LEARNT = {"INT64", "INT32", "BOOL", "STRING"}


def recognise(path: Path, _given: Given) -> "Onnx | None":
    """Return the model of an ONNX file."""
    return Onnx(path) if path.is_file() and path.suffix.lower() == ".onnx" else None


class Onnx:
    """A model in an ONNX file."""

    format = "ONNX"

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _model(self) -> Any:
        """The file without the weights that lie outside of it."""
        onnx = _onnx()
        from google.protobuf.message import DecodeError

        try:
            model = onnx.load(str(self.path), load_external_data=False)
        except (DecodeError, ValueError) as error:
            raise UsageError(f"`{self.path}` is no ONNX file: {error}", hint="was it copied to its end?") from None
        if not model.graph.output:
            raise UsageError(f"`{self.path}` is no ONNX file", found="no graph with outputs")
        return model

    def inspect(self) -> Inspection:
        """Read the graph; weights beside the file stay where they are."""
        graph, engines, notes = self._model.graph, list[str](), list[str]()
        operators = Counter(_operator(node) for node in _nodes(self._model))
        if strange := sorted({node.domain for node in _nodes(self._model)} - _USUAL - self._own_domains()):
            notes.append(f"operators of {', '.join(strange)} need a library that neither engine brings")
        else:
            engines.append("onnxruntime")
        reason = openvino.refusal(self.path)
        if reason is None:
            engines.append("openvino")
        else:
            notes.append(f"openvino: {reason}")
        if any("Quantize" in name or name.startswith("QLinear") or "Integer" in name for name in operators):
            notes.append("quantised")
        held = {tensor.name for tensor in graph.initializer}
        return Inspection(
            self.format,
            tuple(_tensor(value) for value in graph.input if value.name not in held),
            tuple(_tensor(value) for value in graph.output),
            ranked(operators),
            self.path.stat().st_size + sum(file.stat().st_size for file in self._external()),
            ranked(self._precisions()),
            tuple(engines),
            tuple(notes),
        )

    def write(self, folder: Path) -> Written:
        """Copy the file, and those that hold its weights, which it names relative to itself."""
        for file in self._external():
            place = folder / file.relative_to(self.path.parent)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
        shutil.copyfile(self.path, folder / "model.onnx")
        return Written(ModelConfig(backend="onnxruntime"))

    def _own_domains(self) -> set[str]:
        return {function.domain for function in self._model.functions}

    def _external(self) -> list[Path]:
        """Return the files that hold weights; raises ``UsageError`` for those that are missing or lie elsewhere."""
        names = {
            entry.value for tensor in _tensors(self._model) for entry in tensor.external_data if entry.key == "location"
        }
        for name in names:
            outside = PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts
            if outside or not (self.path.parent / name).is_file():
                raise UsageError(
                    f"`{self.path}` keeps weights in `{name}`",
                    found="a path out of its folder" if outside else "no such file beside it",
                    hint="put both files into one folder, as they were exported",
                )
        return [self.path.parent / name for name in sorted(names)]

    def _precisions(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for tensor in _tensors(self._model):
            name = _type_name(tensor.data_type)
            if name not in _NOT_LEARNT:
                counts[_wire(name)] += _elements(tensor.dims)
        for node in _nodes(self._model):
            if node.domain == "ai.onnx.ml":
                # Trees and linear models keep what they learnt in attributes.
                counts["FP32"] += sum(len(attribute.floats) for attribute in node.attribute)
        return +counts


def _nodes(model: Any) -> Iterator[Any]:
    """Yield every node, also those in branches, loops and functions of the model."""
    waiting = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                waiting.extend(graph.node)


def _tensors(model: Any) -> Iterator[Any]:
    yield from model.graph.initializer
    for node in _nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            for graph in (attribute.g, *attribute.graphs):
                yield from graph.initializer


def _operator(node: Any) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _tensor(value: Any) -> TensorSignature:
    tensor = value.type.tensor_type
    name = _type_name(tensor.elem_type)
    if name not in _TYPES:
        kind = value.type.WhichOneof("value") or "nothing"
        raise UsageError(
            f"tensor `{value.name}` is a {kind.removesuffix('_type')} of {name}, which is not served",
            hint="export the model with tensors of the usual types at its ends",
        )
    sizes = tensor.shape.dim if tensor.HasField("shape") else ()
    shape = tuple(size.dim_value if size.HasField("dim_value") else -1 for size in sizes)
    return TensorSignature(value.name, _TYPES[name], shape)


def _type_name(number: int) -> str:
    return str(_onnx().TensorProto.DataType.Name(number)) if number else "nothing"


def _wire(name: str) -> str:
    return BY_CONFIG[_TYPES[name]].wire if name in _TYPES else name


def _elements(dims: Any) -> int:
    count = 1
    for size in dims:
        count *= size
    return count


def _onnx() -> Any:
    try:
        import onnx
    except ImportError:
        raise missing("onnx", "models") from None
    return onnx
