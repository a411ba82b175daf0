"""DLPack for numpy, with the bfloat16 that numpy itself leaves out.

Such an array travels as one of 16-bit integers, and the type in the capsule is changed on the way. The offsets are
those of ``DLManagedTensor`` in version 0 of the standard, the one asked for by not naming a version.
"""

import ctypes
from typing import Any

import ml_dtypes
import numpy as np

from windlass.backends.python.triton.error import TritonModelException

_TYPE_CODE = ctypes.sizeof(ctypes.c_void_p) + 3 * ctypes.sizeof(ctypes.c_int32)
_UNSIGNED, _BFLOAT = 1, 4
_CPU = (1, 0)
# In the words, and with the spaces, that models know.
_NO_TENSOR = (
    "Provided tensor is not supported. Tensor must be a DLPack capsule         or have `__dlpack__` and "
    "`__dlpack_device__` attributes"
)

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]

Array = np.ndarray[Any, Any]


class _Capsule:
    """What numpy wants to see around a capsule."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CPU


def to_capsule(array: Array) -> Any:
    """Return a capsule over the array's memory."""
    if array.dtype != ml_dtypes.bfloat16:
        return array.__dlpack__()
    capsule = array.view(np.uint16).__dlpack__()
    _type_code(capsule).value = _BFLOAT
    return capsule


def from_tensor(tensor: Any) -> Array:
    """Return an array over the memory of a capsule, or of anything that makes one.

    Raises ``BufferError`` for memory of a GPU.
    """
    if hasattr(tensor, "__dlpack_device__") and tensor.__dlpack_device__()[0] != _CPU[0]:
        raise BufferError("the tensor is in the memory of a GPU: copy it to the CPU first, e.g. with `.cpu()`")
    capsule = tensor.__dlpack__() if hasattr(tensor, "__dlpack__") else tensor
    if type(capsule).__name__ != "PyCapsule":
        raise TritonModelException(_NO_TENSOR)
    code = _type_code(capsule)
    if code.value != _BFLOAT:
        return np.from_dlpack(_Capsule(capsule))
    code.value = _UNSIGNED
    return np.from_dlpack(_Capsule(capsule)).view(ml_dtypes.bfloat16)


def _type_code(capsule: Any) -> ctypes.c_uint8:
    return ctypes.c_uint8.from_address(_pointer(capsule, b"dltensor") + _TYPE_CODE)
