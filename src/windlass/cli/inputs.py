"""Turns what a user types or names into the arrays a model takes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from windlass.config.datatypes import BY_WIRE, numpy_dtype
from windlass.errors import UsageError
from windlass.samples.images import SUFFIXES, image

Array = np.ndarray[Any, Any]


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
    if path.suffix.lower() in SUFFIXES and path.is_file() and dtype.kind != "O":
        return image(path, tensor["shape"], dtype)
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
        raise UsageError(
            f"`{source}` is neither a file nor JSON of {dtype}: {error}", hint="write an array as `[1, 2, 3]`"
        ) from None


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
