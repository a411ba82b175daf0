"""Which format becomes which: a table, and why what is missing in it is missing."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from windlass.errors import ConversionError
from windlass.optimize.export.original import Original
from windlass.optimize.source import Source

# Writes an original into a folder.
Converter = Callable[[Original, Path], None]

TITLES = {"onnx": "ONNX", "torchscript": "TorchScript", "pt2": "PyTorch's exported program", "openvino": "OpenVINO IR"}
BACKENDS = {"onnx": "onnxruntime", "torchscript": "pytorch", "pt2": "pytorch", "openvino": "openvino"}
FILES = {"onnx": "model.onnx", "torchscript": "model.pt", "pt2": "model.pt2", "openvino": "model.xml"}

_ROUTES = {
    "pt2": ("onnx", "openvino", "torchscript"),
    "torchscript": ("onnx", "openvino", "pt2"),
    "onnx": ("openvino",),
    "openvino": (),
}


def targets(format_: str) -> tuple[str, ...]:
    """Return the formats that one can be exported to."""
    return _ROUTES[format_]


def converter(format_: str, to: str, source: Source) -> Converter:
    """Return what turns one format into another. Raises ``ConversionError`` with the reason where nothing does."""
    if format_ == to:
        raise ConversionError(
            f"`{source.text}` is {TITLES[to]} already", where=str(source.folder), hint=_others(format_, source)
        )
    if to not in _ROUTES[format_]:
        raise ConversionError(
            f"`{source.text}` is {TITLES[format_]}, which nothing turns into {TITLES[to]}: {_why(format_)}",
            where=str(source.folder),
            hint=f"export the version that it was made from, or its module: `windlass add FILE --name {source.name}`",
        )
    convert: Converter = getattr(import_module(f"windlass.optimize.export.{to}"), f"from_{format_}")
    return convert


def _why(format_: str) -> str:
    if format_ == "openvino":
        return "OpenVINO reads other formats and writes only its own"
    return "PyTorch writes ONNX and does not read it"


def _others(format_: str, source: Source) -> str:
    others = targets(format_)
    if not others:
        return "it is as it was asked for: serve it, or export the version that it was made from"
    return f"export it to another: `windlass export {source.text} --to {others[0]}`"
