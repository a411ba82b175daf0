"""The element types of the protocol: their names in the configuration, on the wire and in numpy, and their sizes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class DataType:
    """One element type; ``size_bytes`` is ``None`` for strings, whose elements differ."""

    config: str
    number: int
    wire: str
    numpy: str
    size_bytes: int | None


ALL = (
    DataType("TYPE_BOOL", 1, "BOOL", "bool", 1),
    DataType("TYPE_UINT8", 2, "UINT8", "uint8", 1),
    DataType("TYPE_UINT16", 3, "UINT16", "uint16", 2),
    DataType("TYPE_UINT32", 4, "UINT32", "uint32", 4),
    DataType("TYPE_UINT64", 5, "UINT64", "uint64", 8),
    DataType("TYPE_INT8", 6, "INT8", "int8", 1),
    DataType("TYPE_INT16", 7, "INT16", "int16", 2),
    DataType("TYPE_INT32", 8, "INT32", "int32", 4),
    DataType("TYPE_INT64", 9, "INT64", "int64", 8),
    DataType("TYPE_FP16", 10, "FP16", "float16", 2),
    DataType("TYPE_FP32", 11, "FP32", "float32", 4),
    DataType("TYPE_FP64", 12, "FP64", "float64", 8),
    DataType("TYPE_STRING", 13, "BYTES", "object", None),
    DataType("TYPE_BF16", 14, "BF16", "bfloat16", 2),
)

BY_CONFIG = {data_type.config: data_type for data_type in ALL}
BY_NUMBER = {data_type.number: data_type for data_type in ALL}
BY_WIRE = {data_type.wire: data_type for data_type in ALL}
BY_NUMPY = {data_type.numpy: data_type for data_type in ALL}


def numpy_dtype(data_type: DataType) -> "np.dtype[Any]":
    """Return numpy's type; BF16 is that of ``ml_dtypes``."""
    import numpy as np

    if data_type.wire == "BF16":
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(data_type.numpy)


def of_array(dtype: "np.dtype[Any]") -> DataType:
    """Return the type an array travels as; strings of any kind travel as BYTES.

    Raises ``KeyError`` for a type the protocol does not carry.
    """
    return BY_WIRE["BYTES"] if dtype.kind in "OSU" else BY_NUMPY[dtype.name]
