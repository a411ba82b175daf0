"""OpenVINO IR: a graph (``.xml``) and its weights (``.bin``)."""

import shutil
from collections import Counter
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from windlass.backends.openvino import library
from windlass.backends.signature import TensorSignature
from windlass.config import ModelConfig
from windlass.errors import UsageError
from windlass.formats.found import Written
from windlass.formats.given import Given
from windlass.formats.inspection import Inspection, ranked
from windlass.formats.peek import head

_TYPES = {
    "boolean": "BOOL",
    "u8": "UINT8",
    "u16": "UINT16",
    "u32": "UINT32",
    "u64": "UINT64",
    "i8": "INT8",
    "i16": "INT16",
    "i32": "INT32",
    "i64": "INT64",
    "f16": "FP16",
    "bf16": "BF16",
    "f32": "FP32",
    "f64": "FP64",
    "string": "STRING",
}
_NOT_LEARNT = {"i64", "i32", "boolean", "string"}
_ENDS = {"Parameter", "Result", "Constant"}


def recognise(path: Path, _given: Given) -> "OpenvinoIr | None":
    """Return the model of an IR's graph."""
    return OpenvinoIr(path) if path.suffix.lower() == ".xml" and b"<net" in head(path, 4096) else None


def refusal(path: Path) -> str | None:
    """Return why OpenVINO does not take a file, in a few words."""
    if find_spec("openvino") is None:
        return "not installed, so it was not asked"
    try:
        _core().read_model(str(path))
    except RuntimeError as error:
        lines = [line.strip("- ") for line in str(error).splitlines()]
        said = [line for line in lines if line and not line.startswith(("Exception from", "Check "))]
        lacking = [line for line in said if line.startswith("No conversion rule found")]
        return " ".join(lacking or said)[:300] or "it cannot read the file"
    return None


class OpenvinoIr:
    """A model in OpenVINO's own format."""

    format = "OpenVINO IR"

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _model(self) -> Any:
        if not self._weights.is_file():
            raise UsageError(f"`{self.path}` has no weights", hint=f"put `{self._weights.name}` beside it")
        try:
            return _core().read_model(str(self.path), str(self._weights))
        except RuntimeError as error:
            said = str(error).strip().splitlines()[-1].strip()
            raise UsageError(f"`{self.path}` cannot be read: {said}") from None

    @property
    def _weights(self) -> Path:
        return self.path.with_suffix(".bin")

    def inspect(self) -> Inspection:
        """Read the graph."""
        nodes = self._model.get_ordered_ops()
        operators = Counter(node.get_type_name() for node in nodes if node.get_type_name() not in _ENDS)
        precisions: Counter[str] = Counter()
        for node in nodes:
            element = node.get_element_type().get_type_name() if node.get_type_name() == "Constant" else "i64"
            if element not in _NOT_LEARNT:
                precisions[_TYPES.get(element, element.upper())] += _elements(node.get_output_shape(0))
        notes = (
            ("quantised",) if "FakeQuantize" in operators or {"INT8", "UINT8", "I4", "U4"} & precisions.keys() else ()
        )
        size = self.path.stat().st_size + self._weights.stat().st_size
        return Inspection(
            self.format,
            tuple(_tensor(port) for port in self._model.inputs),
            tuple(_tensor(port) for port in self._model.outputs),
            ranked(operators),
            size,
            ranked(precisions),
            ("openvino",),
            notes,
        )

    def write(self, folder: Path) -> Written:
        """Copy both files."""
        self._model  # noqa: B018 - a file that cannot be read is told here, and not when it is tried
        shutil.copyfile(self.path, folder / "model.xml")
        shutil.copyfile(self._weights, folder / "model.bin")
        return Written(ModelConfig(backend="openvino"))


def _tensor(port: Any) -> TensorSignature:
    # The backend gives ports without a name the same one.
    name = port.get_any_name() if port.get_names() else f"output_{port.get_index()}"
    element, partial = port.get_element_type().get_type_name(), port.get_partial_shape()
    if element not in _TYPES:
        raise UsageError(f"tensor `{name}` has type {element}, which is not served")
    shape = () if partial.rank.is_dynamic else tuple(-1 if size.is_dynamic else size.get_length() for size in partial)
    return TensorSignature(name, f"TYPE_{_TYPES[element]}", shape)


def _elements(shape: Any) -> int:
    count = 1
    for size in shape:
        count *= int(size)
    return count


def _core() -> Any:
    return library().Core()
