"""The version that an export starts from: its format, its file, and what clients see of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from windlass.config import ModelConfig
from windlass.errors import ConversionError
from windlass.optimize.source import Source
from windlass.repository.layout import MODEL_FILES

Array = np.ndarray[Any, Any]

# What each backend opens, by the ending of the file.
_FORMATS = {
    ("onnxruntime", ".onnx"): "onnx",
    ("openvino", ".onnx"): "onnx",
    ("openvino", ".xml"): "openvino",
    ("pytorch", ".pt"): "torchscript",
    ("pytorch", ".pt2"): "pt2",
}


@dataclass(frozen=True, slots=True)
class Original:
    """A version in a format that is known. ``config`` is complete: what clients see of it.

    ``example`` is what it can be asked, with the batch and every open axis at a size that is not special.
    """

    source: Source
    format: str
    file: Path
    config: ModelConfig
    example: Mapping[str, Array]

    @property
    def size_bytes(self) -> int:
        """How much there is to convert: weights may lie beside the file."""
        return sum(path.stat().st_size for path in self.source.folder.rglob("*") if path.is_file())


def format_and_file(source: Source) -> tuple[str, Path]:
    """Return the format of a version and its file. Raises ``ConversionError`` where it has none that converts."""
    backend = source.backend
    names = [source.config.default_model_filename] if source.config.default_model_filename else MODEL_FILES.get(backend)
    file = next((source.folder / name for name in names or () if (source.folder / name).exists()), None)
    if backend in {"python", "ensemble"} or not names:
        what = "is Python code" if backend == "python" else f"has the backend `{backend}`"
        raise ConversionError(
            f"`{source.text}` {what}, which has no other format",
            where=str(source.folder),
            hint="add the model that it runs by itself: `windlass add FILE --name NAME`",
        )
    if file is None:
        expected = " or ".join(f"`{name}`" for name in names)
        raise ConversionError(f"no {expected} in `{source.folder}`", hint="put the model's file there")
    # A file whose weights lie beside it may be a folder of that name.
    inner = file / file.name if file.is_dir() else file
    return _FORMATS.get((backend, inner.suffix), "torchscript" if backend == "pytorch" else backend), inner
