"""Reads samples from text, one a line: JSON Lines, and plain texts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from windlass.errors import UsageError
from windlass.samples.found import Found
from windlass.samples.samples import Array, Row
from windlass.samples.wanted import Tensor, Wanted

_LABEL = "label"
_LONGEST_BYTES = 64 << 20


def lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield where each line is, and the line; empty ones are left out. Raises ``UsageError`` for one without end."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LONGEST_BYTES + 1):
            number += 1
            where = f"{path}:{number}"
            if len(line) > _LONGEST_BYTES:
                raise UsageError(
                    f"the line is longer than {_LONGEST_BYTES >> 20} MiB", where=where, hint="write one sample a line"
                )
            text = line.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").rstrip(b"\r\n")
            if text.strip():
                yield where, text


def read_texts(path: Path, wanted: Wanted, limit: int | None) -> Found:
    """Read a text a line, for the one input of strings that the model has."""
    tensor = wanted.only_input(str(path), "one text a line")
    if not tensor.holds_texts:
        hint = "tokenize the texts into an .npz file, or write the numbers into a .jsonl file"
        raise tensor.wrong_type("texts", str(path), hint)
    found = Found()
    for where, text in lines(path):
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"the line is not UTF-8: {error}", where=where, hint="save the file as UTF-8") from None
        one = np.empty((), dtype=object)
        one[()] = text
        found.add({tensor.name: tensor.fitted(one, where)}, where)
        if len(found.rows) == limit:
            break
    return found


def read_json_lines(path: Path, wanted: Wanted, limit: int | None) -> Found:
    """Read a JSON object a line: a sample by the names of its inputs, or a whole request of the v2 protocol."""
    found = Found()
    for where, text in lines(path):
        for number, (row, label) in enumerate(_samples(_parsed(text, where), wanted, where)):
            found.add(row, f"{where}[{number}]" if number else where, label)
            if len(found.rows) == limit:
                return found
    return found


def _parsed(text: bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise UsageError("the line is nested too deeply", where=where, hint="write one sample a line") from None
    except ValueError as error:
        hint = 'write one JSON object a line: {"NAME": [...], "label": 3}'
        raise UsageError(f"the line is no JSON: {error}", where=where, found=_start(text), hint=hint) from None


def _start(text: bytes) -> str:
    shown = text.decode(errors="replace")
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _samples(value: Any, wanted: Wanted, where: str) -> Iterator[tuple[Row, Any]]:
    if _is_request(value):
        yield from _of_request(value, wanted, where)
        return
    if not isinstance(value, dict):
        value = {wanted.only_input(where, "a value without a name").name: value}
    labelled = _LABEL in value and _LABEL not in wanted.inputs
    named = {name: given for name, given in value.items() if not (labelled and name == _LABEL)}
    wanted.check_names(set(named), where, _LABEL)
    row = {
        name: tensor.fitted(_array(named[name], tensor, where), where)
        for name, tensor in wanted.inputs.items()
        if name in named
    }
    yield row, value[_LABEL] if labelled else None


def _array(value: Any, tensor: Tensor, where: str) -> Array:
    """Turn nested lists into an array. Texts are kept as they are: numpy's own would lose zeros at their ends."""
    try:
        array = np.array(value, dtype=object if tensor.holds_texts else None)
    except (ValueError, OverflowError) as error:
        ragged = "inhomogeneous" in str(error)
        found = "lists of different lengths beside each other" if ragged else str(error)
        raise tensor.wrong_type(found, where, "make all lists of one depth the same length") from None
    if tensor.holds_texts and any(isinstance(item, list) for item in array.ravel().tolist()):
        found = "lists of different lengths beside each other"
        raise tensor.wrong_type(found, where, "make all lists of one depth the same length")
    return array


def _is_request(value: Any) -> bool:
    tensors = value.get("inputs") if isinstance(value, dict) else None
    return (
        isinstance(tensors, list)
        and bool(tensors)
        and all(isinstance(tensor, dict) and "name" in tensor for tensor in tensors)
    )


def _of_request(body: Mapping[str, Any], wanted: Wanted, where: str) -> Iterator[tuple[Row, Any]]:
    """Take a request apart into samples, where its first axis is the batch."""
    tensors = {str(tensor["name"]): tensor for tensor in body["inputs"]}
    wanted.check_names(set(tensors), where, _LABEL)
    arrays = {name: _tensor(given, wanted.inputs[name], where) for name, given in tensors.items()}
    if not wanted.batched:
        row = {name: wanted.inputs[name].fitted(array, where) for name, array in arrays.items()}
        yield row, body.get(_LABEL)
        return
    sizes = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(sizes.values())) != 1 or not max(sizes.values()):
        found = ", ".join(f"`{name}` {size}" for name, size in sizes.items())
        raise UsageError("the inputs differ in their batch", where=where, found=found, hint="give each as many samples")
    count = max(sizes.values())
    labels = _labels(body.get(_LABEL), count, where)
    for index in range(count):
        row = {name: wanted.inputs[name].fitted(array[index], where) for name, array in arrays.items()}
        yield row, labels[index]


def _tensor(given: Mapping[str, Any], tensor: Tensor, where: str) -> Array:
    if "data" not in given:
        hint = "write the values into `data`; binary values do not go into a line of text"
        raise UsageError(f"input `{tensor.name}` has no `data`", where=where, found=", ".join(given), hint=hint)
    datatype = given.get("datatype", tensor.data_type.wire)
    if datatype != tensor.data_type.wire:
        raise tensor.wrong_type(f"datatype {datatype}", where)
    array, shape = _array(given["data"], tensor, where), given.get("shape")
    try:
        return array if shape is None else array.reshape([int(size) for size in shape])
    except (ValueError, TypeError):
        found = f"{array.size} values for shape {shape}"
        raise tensor.wrong_type(found, where, "let `shape` say what `data` holds, with the batch first") from None


def _labels(label: Any, count: int, where: str) -> Sequence[Any]:
    if label is None:
        return [None] * count
    labels = label if isinstance(label, list) else [label]
    if len(labels) != count:
        found = f"{len(labels)} labels for {count} samples"
        raise UsageError(
            f"`{_LABEL}` has another length than the batch", where=where, found=found, hint="give one each"
        )
    return labels
