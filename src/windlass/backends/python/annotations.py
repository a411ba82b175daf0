"""What the annotations of a function say of a model's inputs and outputs.

``Tensor["FP32", 3, 224, 224]``: an array; the sizes are without the batch, ``-1`` is any, none is one element.
``list[str]``: one value of each row, for all rows at once. ``str``: the value of one row, so that the function is
called for each row. Instead of ``str`` also ``bytes``, ``int`` (INT64), ``float`` (FP64) or ``bool``.
"""

import inspect
import typing
from collections import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from windlass.config.datatypes import BY_WIRE, of_array
from windlass.errors import ConfigError

Array = np.ndarray[Any, Any]

# What generators are annotated with.
_STREAMS = (abc.Iterator, abc.Iterable, abc.Generator, abc.AsyncIterator, abc.AsyncIterable, abc.AsyncGenerator)

_PYTHON_TYPES = {str: "BYTES", bytes: "BYTES", int: "INT64", float: "FP64", bool: "BOOL"}


@dataclass(frozen=True, slots=True)
class TensorType:
    """An element type of the protocol and the dimensions without the batch; ``-1`` is any size."""

    data_type: str
    dims: tuple[int, ...]


class Tensor:
    """Annotates an array: ``Tensor["FP32", 3, 224, 224]``, or with numpy's type, ``Tensor[np.float32, 16]``."""

    def __class_getitem__(cls, item: Any) -> Any:
        data_type, *dims = item if isinstance(item, tuple) else (item,)
        if wrong := [size for size in dims if not isinstance(size, int) or size == 0 or size < -1]:
            raise ConfigError(f"Tensor[...]: expected sizes, got `{wrong[0]!r}`", hint="-1 stands for any size")
        return Annotated[Array, TensorType(_wire_name(data_type), tuple(dims) or (1,))]


def _wire_name(data_type: Any) -> str:
    if data_type in BY_WIRE:
        return str(data_type)
    try:
        return of_array(np.dtype(data_type)).wire
    except (TypeError, KeyError):
        hint = f"one of {', '.join(BY_WIRE)}"
        raise ConfigError(f"Tensor[`{data_type}`]: unknown data type", hint=hint) from None


@dataclass(frozen=True, slots=True)
class Value:
    """One argument or result: its type where the annotation tells one, and the Python type of its elements.

    ``form`` is ``array``, ``list`` (of all rows) or ``row`` (the value of one row).
    """

    name: str
    form: str
    data_type: str | None = None
    dims: tuple[int, ...] = ()
    element: type | None = None
    optional: bool = False


def arguments(function: Callable[..., Any]) -> list[Value]:
    """Return what a function takes. One with a default may be left out of a request."""
    hints = _hints(function)
    return [
        _value(name, hints.get(name), optional=parameter.default is not parameter.empty)
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self" and parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}
    ]


def results(function: Callable[..., Any]) -> list[Value]:
    """Return what a function returns or yields: one value called ``output``, or those of a dictionary by their keys."""
    returned = _hints(function).get("return")
    if typing.get_origin(returned) in _STREAMS:
        returned = typing.get_args(returned)[0]
    if isinstance(returned, Mapping):
        return [_value(name, hint) for name, hint in returned.items()]
    if typing.is_typeddict(returned):
        hints = typing.get_type_hints(returned, include_extras=True)
        return [_value(name, hint) for name, hint in hints.items()]
    return [_value("output", returned)]


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    target = function if inspect.isfunction(function) or inspect.ismethod(function) else type(function).__call__
    return inspect.get_annotations(target, eval_str=True)


def _value(name: str, hint: Any, *, optional: bool = False) -> Value:
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, TensorType):
            return Value(name, "array", extra.data_type, extra.dims, optional=optional)
    if hint in _PYTHON_TYPES:
        return Value(name, "row", _PYTHON_TYPES[hint], (1,), hint, optional)
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is list and len(inner) == 1 and inner[0] in _PYTHON_TYPES:
        return Value(name, "list", _PYTHON_TYPES[inner[0]], (), inner[0], optional)
    return Value(name, "array", optional=optional)
