"""What Python models written for Triton import as ``triton_python_backend_utils``: its names, over this process.

The classes live in the package ``triton``. They are slim, since one of each is made for every tensor and request of a
batch.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from windlass.backends.python import home
from windlass.backends.python.triton.call import ResponseIterator
from windlass.backends.python.triton.config import ModelConfig
from windlass.backends.python.triton.error import TritonError, TritonModelException
from windlass.backends.python.triton.logger import Logger
from windlass.backends.python.triton.metric import Metric, MetricFamily
from windlass.backends.python.triton.repository import is_model_ready, load_model, unload_model
from windlass.backends.python.triton.request import (
    RELEASE_ALL,
    RELEASE_RESCHEDULE,
    InferenceRequest,
    ReceivedRequest,
)
from windlass.backends.python.triton.response import (
    RESPONSE_COMPLETE_FINAL,
    InferenceResponse,
    InferenceResponseSender,
)
from windlass.backends.python.triton.tensor import Array, Tensor
from windlass.backends.python.triton.trace import CPU, GPU, InferenceTrace, PreferredMemory
from windlass.config.datatypes import BY_CONFIG, BY_NUMBER, numpy_dtype, of_array

__all__ = [
    "InferenceRequest",
    "InferenceResponse",
    "InferenceResponseSender",
    "InferenceTrace",
    "Logger",
    "Metric",
    "MetricFamily",
    "ModelConfig",
    "PreferredMemory",
    "ResponseIterator",
    "Tensor",
    "TritonError",
    "TritonModelException",
    "deserialize_bytes_tensor",
    "get_input_config_by_name",
    "get_input_tensor_by_name",
    "get_model_dir",
    "get_output_config_by_name",
    "get_output_tensor_by_name",
    "is_model_ready",
    "load_model",
    "numpy_to_triton_type",
    "serialize_byte_tensor",
    "triton_string_to_numpy",
    "triton_to_numpy_type",
    "unload_model",
    "using_decoupled_model_transaction_policy",
]

# Error texts name them as models know them.
for _class in (
    InferenceRequest,
    InferenceResponse,
    InferenceResponseSender,
    Metric,
    MetricFamily,
    ResponseIterator,
    Tensor,
    TritonError,
    TritonModelException,
):
    _class.__module__ = "c_python_backend_utils"

TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 2
TRITONSERVER_RESPONSE_COMPLETE_FINAL = RESPONSE_COMPLETE_FINAL
TRITONSERVER_REQUEST_RELEASE_ALL = RELEASE_ALL
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE = RELEASE_RESCHEDULE
TRITONSERVER_MEMORY_CPU = CPU
TRITONSERVER_MEMORY_GPU = GPU


def get_input_tensor_by_name(request: InferenceRequest, name: str) -> Tensor | None:
    """Return an input of a request; ``None`` when it has no such input."""
    if isinstance(request, ReceivedRequest):
        array = request._request.inputs.get(name)  # without making an object for every input
        return None if array is None else Tensor._received(name, array)
    return next((tensor for tensor in request.inputs() if tensor.name() == name), None)


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


def serialize_byte_tensor(array: Array) -> bytes:
    """Return the elements with their lengths before them."""
    parts = []
    for element in array.ravel():
        text = element if isinstance(element, bytes) else str(element).encode()
        parts.append(struct.pack("<I", len(text)) + text)
    return b"".join(parts)


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
    here = home.current()
    if here is None:
        raise TritonModelException("get_model_dir() was called outside of a model")
    return here.folder


def __getattr__(name: str) -> Any:
    raise AttributeError(f"`triton_python_backend_utils.{name}` is not offered by this version of windlass")
