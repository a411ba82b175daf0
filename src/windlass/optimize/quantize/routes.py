"""Which backend's models can have which precision: a table, and why what is missing in it is missing."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from windlass.errors import ConversionError
from windlass.optimize.export import format_and_file
from windlass.optimize.quantize.given import PRECISIONS, Given, Made
from windlass.optimize.source import Source

# Writes a version with fewer bits into a folder.
Method = Callable[[Given, Path], Made]

_MODULES = {"onnx": "onnxruntime", "openvino": "openvino", "pt2": "pytorch"}


def methods(source: Source) -> tuple[str, ...]:
    """Return the precisions that a version can be given. Raises ``ConversionError`` where it can have none."""
    kind = _kind(source)
    return tuple(to for to in PRECISIONS if kind != "torchscript" and (kind, to) != ("onnx", "bf16"))


def method(source: Source, to: str) -> Method:
    """Return what writes a version with fewer bits. Raises ``ConversionError`` with the reason where nothing does."""
    kind = _kind(source)
    if kind == "torchscript":
        raise ConversionError(
            f"`{source.text}` is TorchScript, which PyTorch's quantisers do not read",
            where=str(source.folder),
            hint=f"export it first: `windlass export {source.text} --to openvino` (or `onnx`, `pt2`)",
        )
    if (kind, to) == ("onnx", "bf16"):
        raise ConversionError(
            f"`{source.text}` is ONNX, and ONNX Runtime computes nothing in bfloat16 on processors",
            where=str(source.folder),
            hint=f"`windlass export {source.text} --to openvino`, then quantise that version; or choose `--to int8`",
        )
    found: Method = getattr(import_module(f"windlass.optimize.quantize.{_MODULES[kind]}"), to.replace("-", "_"))
    return found


def _kind(source: Source) -> str:
    """Return what decides: OpenVINO reads ONNX too, and then writes its own format."""
    kind, _ = format_and_file(source)
    return "openvino" if source.backend == "openvino" else kind
