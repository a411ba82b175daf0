"""A named array, as models exchange it with the server."""

from typing import Any

import numpy as np
from numpy import ndarray

from windlass.backends.python import dlpack
from windlass.backends.python.triton.error import TritonModelException
from windlass.config.datatypes import of_array

Array = np.ndarray[Any, Any]

# Complex numbers, dates and times, and texts of one size for all elements.
_NOT_CARRIED = "cMmU"


class Tensor:
    """A named array. It is not copied: what a model returns must stay as it is until it has been sent."""

    __slots__ = ("_array", "_name")

    def __init__(self, name: str, array: Array) -> None:
        if not name:
            raise TritonModelException("Tensor name cannot be an empty string.")
        if not isinstance(array, ndarray):
            array = np.asarray(array)
        if array.dtype.kind in _NOT_CARRIED:
            raise TritonModelException("NumPy dtype is not supported.")
        self._name = name
        self._array = array

    @classmethod
    def _received(cls, name: str, array: Array) -> "Tensor":
        """Name an array that the server made: it needs no check."""
        tensor = cls.__new__(cls)
        tensor._name = name
        tensor._array = array
        return tensor

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
        if self._array.dtype.kind in "OSU":
            raise TritonModelException("DLPack does not have support for string tensors.")
        return dlpack.to_capsule(self._array)

    def __dlpack__(self, *, stream: Any = None, **_: Any) -> Any:
        if stream is not None:
            raise BufferError("memory of the CPU belongs to no stream")
        return self.to_dlpack()

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()

    @staticmethod
    def from_dlpack(name: str, tensor: Any) -> "Tensor":
        """Take over anything that speaks DLPack."""
        return Tensor(name, dlpack.from_tensor(tensor))
