"""Turns what a user types or names into the arrays a model takes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from windlass.config.datatypes import BY_WIRE, numpy_dtype
from windlass.errors import UsageError

Array = np.ndarray[Any, Any]

_IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}


def read_inputs(given: Sequence[str], declared: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    """Read every ``[NAME=]VALUE`` as the model's metadata declares it. Raises ``UsageError``."""
    by_name = {tensor["name"]: tensor for tensor in declared}
    arrays = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in by_name:
            if len(declared) != 1:
                raise UsageError(f"input `{text}`: expected NAME=VALUE", hint=f"the names are {', '.join(by_name)}")
            name, value = declared[0]["name"], text
        arrays[name] = _fitted(_read(value, by_name[name]), by_name[name])
    return arrays


def _read(value: str, tensor: Mapping[str, Any]) -> Array:
    path = Path(value)
    dtype = numpy_dtype(BY_WIRE[tensor["datatype"]])
    if path.suffix == ".npy" and path.is_file():
        return np.asarray(np.load(path, allow_pickle=False))
    if path.suffix.lower() in _IMAGES and path.is_file():
        return _image(path, tensor["shape"], dtype)
    if path.suffix == ".json" and path.is_file():
        return _json(path.read_text(encoding="utf-8"), dtype, value)
    if path.is_file():
        if dtype.kind != "O":
            raise UsageError(
                f"`{value}` is text, input `{tensor['name']}` takes {tensor['datatype']}",
                hint="use a .json or .npy file",
            )
        return np.array([path.read_bytes()], dtype=object)
    if dtype.kind == "O" and value[:1] not in {"[", '"'}:
        return np.array([value.encode()], dtype=object)
    return _json(value, dtype, value)


def _json(text: str, dtype: "np.dtype[Any]", source: str) -> Array:
    try:
        return np.array(json.loads(text), dtype=dtype)
    except (ValueError, TypeError) as error:
        raise UsageError(f"`{source}` is neither a file nor JSON of {dtype}: {error}") from None


def _image(path: Path, shape: Sequence[int], dtype: "np.dtype[Any]") -> Array:
    """Scale an image to the model's size; floats go from 0 to 1, channels first where the shape says so."""
    try:
        from PIL import Image
    except ImportError:
        raise UsageError("reading images needs Pillow", hint="pip install pillow") from None
    dims = [size for size in shape[-3:]]
    first = len(dims) == 3 and dims[0] in (1, 3)
    channels, height, width = dims if first else (dims[2], dims[0], dims[1]) if len(dims) == 3 else (1, *dims[-2:])
    if len(dims) < 2 or min(height, width) < 1:
        raise UsageError(f"`{path}`: an image does not fit an input of shape {list(shape)}")
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert("L" if channels == 1 else "RGB").resize((width, height)))
    if channels == 3 and first:
        pixels = pixels.transpose(2, 0, 1)
    scaled = pixels / 255.0 if dtype.kind == "f" else pixels
    return scaled.astype(dtype)


def _fitted(array: Array, tensor: Mapping[str, Any]) -> Array:
    """Give an array the declared type and, where only that is missing, its batch dimension."""
    dtype, shape = numpy_dtype(BY_WIRE[tensor["datatype"]]), list(tensor["shape"])
    typed = array if array.dtype == dtype or dtype.kind == "O" else array.astype(dtype)
    if typed.ndim == len(shape) - 1:
        return typed[np.newaxis]
    if typed.ndim != len(shape) and -1 not in shape[1:] and shape[:1] == [-1]:
        size = int(np.prod(shape[1:]))
        if size and typed.size % size == 0:
            return typed.reshape(-1, *shape[1:])
    return typed
