"""What Python models written for Triton import as ``triton_python_backend_utils``: its names, over this process.

The classes are slim, since one of each is made for every tensor and request of a batch. What is not here, such as
calls of other models or responses sent one by one, says that windlass does not offer it when it is asked for.
"""

import json
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from windlass.backends.python import dlpack
from windlass.backends.python.triton_config import ModelConfig as ModelConfig
from windlass.config.datatypes import BY_CONFIG, BY_NUMBER, numpy_dtype, of_array

if TYPE_CHECKING:
    from windlass.backends.backend import Request

TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 2

# The name under which a model's own module carries its folder.
MODEL_DIR = "__windlass_model_dir__"

Array = np.ndarray[Any, Any]


def _not_offered(name: str) -> AttributeError:
    return AttributeError(f"`{name}` is not offered by this version of windlass")


class TritonError:
    """An error to put into a response; ``code`` is one of the class's constants."""

    UNKNOWN, INTERNAL, NOT_FOUND, INVALID_ARG = "UNKNOWN", "INTERNAL", "NOT_FOUND", "INVALID_ARG"
    UNAVAILABLE, UNSUPPORTED, ALREADY_EXISTS, CANCELLED = (
        "UNAVAILABLE",
        "UNSUPPORTED",
        "ALREADY_EXISTS",
        "CANCELLED",
    )

    __slots__ = ("_code", "_message")

    def __init__(self, message: str, code: str = INTERNAL) -> None:
        self._message = message
        self._code = code

    def code(self) -> str:
        """Return the code."""
        return self._code

    def message(self) -> str:
        """Return the text."""
        return self._message


class TritonModelException(Exception):
    """The exception models raise."""


class Tensor:
    """A named array. It is not copied: what a model returns must stay as it is until it has been sent."""

    __slots__ = ("_array", "_name")

    def __init__(self, name: str, array: Array) -> None:
        self._name = name
        self._array = array

    def name(self) -> str:
        """Return the name."""
        return self._name

    def as_numpy(self) -> Array:
        """Return the array; strings are an object array of ``bytes``."""
        return self._array

    def shape(self) -> list[int]:
        """Return the size of every dimension."""
        return list(self._array.shape)

    def triton_dtype(self) -> int:
        """Return the number of the element type in the model configuration."""
        return of_array(self._array.dtype).number

    def is_cpu(self) -> bool:
        """Tell that the array is in main memory, as all are here."""
        return True

    def to_dlpack(self) -> Any:
        """Return a DLPack capsule over the same memory."""
        return dlpack.to_capsule(self._array)

    def __dlpack__(self, *, stream: Any = None, **_: Any) -> Any:
        if stream is not None:
            raise BufferError("memory of the CPU belongs to no stream")
        return dlpack.to_capsule(self._array)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()

    @staticmethod
    def from_dlpack(name: str, tensor: Any) -> "Tensor":
        """Take over anything that speaks DLPack."""
        return Tensor(name, dlpack.from_tensor(tensor))


class InferenceRequest:
    """A request as it came; arrays are made when they are asked for."""

    __slots__ = ("_request",)

    def __init__(self, request: "Request") -> None:
        self._request = request

    def inputs(self) -> list[Tensor]:
        """Return the inputs."""
        return [Tensor(name, array) for name, array in self._request.inputs.items()]

    def request_id(self) -> str:
        """Return the client's name for the request; empty when it gave none."""
        return self._request.id

    def correlation_id(self) -> int | str:
        """Return the sequence's id; 0 for none."""
        return self._request.correlation_id

    def requested_output_names(self) -> list[str]:
        """Return the names of the outputs that are wanted."""
        return self._request.requested_outputs

    def parameters(self) -> str:
        """Return what the client sent besides, as JSON."""
        return json.dumps(self._request.parameters)

    def flags(self) -> int:
        """Return the flags of the request's place in its sequence."""
        return self._request.flags

    def timeout(self) -> int:
        """Return the client's limit for the time in the queue, in microseconds; 0 for none."""
        return self._request.timeout_us

    def is_cancelled(self) -> bool:
        """Tell whether the client went away."""
        return self._request.is_cancelled()

    def __getattr__(self, name: str) -> Any:
        raise _not_offered(f"InferenceRequest.{name}")


class InferenceResponse:
    """The outputs of one request, or why there are none."""

    __slots__ = ("_error", "_outputs", "_parameters")

    def __init__(
        self,
        output_tensors: Sequence[Tensor] = (),
        error: TritonError | None = None,
        parameters: Mapping[str, str | int | bool] | None = None,
    ) -> None:
        self._outputs = output_tensors
        self._error = error
        self._parameters = parameters

    def output_tensors(self) -> list[Tensor]:
        """Return the outputs."""
        return list(self._outputs)

    def has_error(self) -> bool:
        """Tell whether the request failed."""
        return self._error is not None

    def error(self) -> TritonError | None:
        """Return why it failed."""
        return self._error

    def parameters(self) -> str:
        """Return what the model has to say besides, as JSON."""
        return json.dumps(dict(self._parameters or {}))


class Logger:
    """Writes to the server's log."""

    INFO, WARNING, ERROR, VERBOSE = "INFO", "WARNING", "ERROR", "VERBOSE"

    @staticmethod
    def log(message: str, level: str = INFO) -> None:
        """Write one line."""
        import logging

        levels = {"INFO": logging.INFO, "WARNING": logging.WARNING, "ERROR": logging.ERROR}
        logging.getLogger("windlass.model").log(levels.get(level, logging.DEBUG), message)

    @staticmethod
    def log_info(message: str) -> None:
        """Write one line of information."""
        Logger.log(message, Logger.INFO)

    @staticmethod
    def log_warn(message: str) -> None:
        """Write one warning."""
        Logger.log(message, Logger.WARNING)

    @staticmethod
    def log_error(message: str) -> None:
        """Write one error."""
        Logger.log(message, Logger.ERROR)

    @staticmethod
    def log_verbose(message: str) -> None:
        """Write one line that is shown on request only."""
        Logger.log(message, Logger.VERBOSE)


def get_input_tensor_by_name(request: InferenceRequest, name: str) -> Tensor | None:
    """Return an input of a request; ``None`` when it has no such input."""
    array = request._request.inputs.get(name)  # both halves of one module
    return None if array is None else Tensor(name, array)


def get_output_tensor_by_name(response: InferenceResponse, name: str) -> Tensor | None:
    """Return an output of a response; ``None`` when it has no such output."""
    return next((tensor for tensor in response.output_tensors() if tensor.name() == name), None)


def get_input_config_by_name(model_config: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return an input's part of the configuration."""
    return _by_name(model_config.get("input", ()), name)


def get_output_config_by_name(model_config: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return an output's part of the configuration."""
    return _by_name(model_config.get("output", ()), name)


def _by_name(tensors: Iterable[dict[str, Any]], name: str) -> dict[str, Any] | None:
    return next((tensor for tensor in tensors if tensor.get("name") == name), None)


def using_decoupled_model_transaction_policy(model_config: Mapping[str, Any]) -> bool:
    """Tell whether requests have any number of answers."""
    return bool(model_config.get("model_transaction_policy", {}).get("decoupled", False))


def triton_to_numpy_type(number: int) -> Any:
    """Return numpy's type for a number of the model configuration."""
    return np.object_ if number == 13 else numpy_dtype(BY_NUMBER[number]).type


def numpy_to_triton_type(data_type: Any) -> int:
    """Return the number in the model configuration for numpy's type."""
    return of_array(np.dtype(data_type)).number


def triton_string_to_numpy(name: str) -> Any:
    """Return numpy's type for a name like ``TYPE_FP32``."""
    return triton_to_numpy_type(BY_CONFIG[name].number)


def serialize_byte_tensor(array: Array) -> Array:
    """Return the elements with their lengths before them, as one array of bytes."""
    parts = []
    for element in array.ravel():
        text = element if isinstance(element, bytes) else str(element).encode()
        parts.append(struct.pack("<I", len(text)) + text)
    return np.asarray(b"".join(parts), dtype=np.object_)


def deserialize_bytes_tensor(encoded: bytes) -> Array:
    """Return the elements of a serialised string tensor as a flat object array of ``bytes``."""
    elements, at = [], 0
    while at < len(encoded):
        (length,) = struct.unpack_from("<I", encoded, at)
        elements.append(encoded[at + 4 : at + 4 + length])
        at += 4 + length
    return np.array(elements, dtype=np.object_)


def get_model_dir() -> str:
    """Return the folder of the version whose code is asking."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if MODEL_DIR in frame.f_globals:
            return str(frame.f_globals[MODEL_DIR])
        frame = frame.f_back
    raise TritonModelException("get_model_dir() was called outside of a model")


def __getattr__(name: str) -> Any:
    raise _not_offered(f"triton_python_backend_utils.{name}")
