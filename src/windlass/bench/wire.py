"""Inference requests as bytes on the wire, made once and sent often: REST with JSON or binary tensors, and gRPC."""

import json
import struct
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from windlass.bench.load import Request
from windlass.client import encode_request
from windlass.config.datatypes import of_array
from windlass.errors import UsageError

Array = np.ndarray[Any, Any]
Protocol = Literal["rest", "json", "grpc"]

# Numbers of the fields of ModelInferRequest and of its tensors, and the kinds in which Protocol Buffers write them.
_NAME, _VERSION, _INPUT, _RAW = 1, 2, 5, 7
_TENSOR_NAME, _TENSOR_TYPE, _TENSOR_SHAPE = 1, 2, 3
_BYTES = 2


def encode(protocol: Protocol, model: str, version: str, inputs: Mapping[str, Array]) -> Request:
    """Return one request. Raises ``UsageError`` for what a protocol cannot carry."""
    if protocol == "grpc":
        return Request(_grpc(model, version, inputs))
    if protocol == "json":
        return Request(_json(inputs), {"Content-Type": "application/json"})
    body, length = encode_request(inputs, (), {})
    return Request(body, {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(length)})


def _json(inputs: Mapping[str, Array]) -> bytes:
    tensors = []
    for name, array in inputs.items():
        wire = of_array(array.dtype).wire
        if wire in ("FP16", "BF16"):
            raise UsageError(f"input `{name}`: {wire} does not travel as JSON", hint="use `--protocol rest` or `grpc`")
        data = [_text(name, item) for item in array.ravel().tolist()] if wire == "BYTES" else array.ravel().tolist()
        tensors.append({"name": name, "shape": list(array.shape), "datatype": wire, "data": data})
    return json.dumps({"inputs": tensors}, separators=(",", ":")).encode()


def _text(name: str, item: bytes | str) -> str:
    try:
        return item if isinstance(item, str) else item.decode()
    except UnicodeDecodeError:
        raise UsageError(
            f"input `{name}`: bytes that are no text do not travel as JSON", hint="use `--protocol rest` or `grpc`"
        ) from None


def _grpc(model: str, version: str, inputs: Mapping[str, Array]) -> bytes:
    message = _field(_NAME, model.encode()) + (_field(_VERSION, version.encode()) if version else b"")
    raw = b""
    for name, array in inputs.items():
        wire = of_array(array.dtype).wire
        shape = b"".join(_varint(size) for size in array.shape)
        tensor = _field(_TENSOR_NAME, name.encode()) + _field(_TENSOR_TYPE, wire.encode())
        message += _field(_INPUT, tensor + (_field(_TENSOR_SHAPE, shape) if shape else b""))
        raw += _field(_RAW, _strings(array) if wire == "BYTES" else np.ascontiguousarray(array).tobytes())
    return message + raw


def _strings(array: Array) -> bytes:
    items = (item if isinstance(item, bytes) else str(item).encode() for item in array.ravel().tolist())
    return b"".join(struct.pack("<I", len(item)) + item for item in items)


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)
