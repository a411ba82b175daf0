"""What a model wants of a sample, and whether an array is that: every reader asks here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from windlass.config import ModelConfig
from windlass.config.datatypes import BY_NUMBER, DataType, numpy_dtype
from windlass.errors import UsageError
from windlass.samples.samples import Array


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input as the configuration declares it, without the batch axis."""

    name: str
    data_type: DataType
    dims: tuple[int, ...]
    optional: bool = False

    @property
    def text(self) -> str:
        """What is expected, for people."""
        return f"{self.data_type.wire} {list(self.dims)}"

    @property
    def holds_texts(self) -> bool:
        """Whether its elements are strings."""
        return self.data_type.wire == "BYTES"

    def takes_shape(self, shape: tuple[int, ...]) -> bool:
        """Tell whether a sample may have this shape."""
        return len(shape) == len(self.dims) and all(
            dim in (-1, size) for dim, size in zip(self.dims, shape, strict=True)
        )

    def fitted(self, array: Array, where: str) -> Array:
        """Return one sample's array with the declared type and shape. Raises ``UsageError`` where it has another."""
        if array.dtype.kind == "O" and not self.holds_texts:
            raise self.wrong_type(f"values of {_kind(array.dtype)}", where)
        array = self._shaped(array, where)
        typed = _texts(array, self, where) if self.holds_texts else _numbers(array, self, where)
        if typed.dtype.kind not in "OiubSU":
            self._refuse_nan(typed, where)
        return typed

    def _shaped(self, array: Array, where: str) -> Array:
        if not array.ndim and set(self.dims) <= {-1, 1}:
            return array.reshape((1,) * len(self.dims))
        self.check_shape(array.shape, where)
        return array

    def check_shape(self, shape: tuple[int, ...], where: str) -> None:
        """Raise ``UsageError`` where a sample cannot have this shape."""
        if not self.takes_shape(shape):
            raise UsageError(
                f"input `{self.name}`: expected {self.text} for each sample",
                where=where,
                found=f"shape {list(shape)}",
                hint=self._shape_hint(shape),
            )
        if 0 in shape:
            raise UsageError(
                f"input `{self.name}`: expected {self.text} with at least one value",
                where=where,
                found=f"shape {list(shape)}, which holds none",
                hint="leave such samples out",
            )

    def _shape_hint(self, shape: tuple[int, ...]) -> str:
        if self.takes_shape(shape[1:]):
            return "give each sample by itself, without a batch axis"
        if sorted(shape) == sorted(self.dims):
            return f"transpose the values to {list(self.dims)}"
        return f"prepare every sample as {list(self.dims)}; `-1` stands for any size"

    def _refuse_nan(self, array: Array, where: str) -> None:
        bad = np.argwhere(np.isnan(array))
        if len(bad):
            raise UsageError(
                f"input `{self.name}` has NaN at {bad[0].tolist()}",
                where=where,
                hint="leave the sample out, or write the number that stands for a missing value where it was trained",
            )

    def wrong_type(self, found: str, where: str, hint: str = "") -> UsageError:
        """Say that values of another type were given."""
        return UsageError(
            f"input `{self.name}`: expected {self.text}",
            where=where,
            found=found,
            hint=hint or f"write the values as {self.data_type.wire}",
        )


def _texts(array: Array, tensor: Tensor, where: str) -> Array:
    if array.dtype.kind not in "OSU":
        raise tensor.wrong_type(f"values of {array.dtype}", where, "write the texts as strings")
    made = np.empty(array.size, dtype=object)
    for index, item in enumerate(array.ravel().tolist()):
        if not isinstance(item, (str, bytes)):
            raise tensor.wrong_type(f"{item!r} among the texts", where, "write every text as a string")
        try:
            made[index] = item.encode() if isinstance(item, str) else item
        except UnicodeEncodeError as error:
            raise tensor.wrong_type(f"a string that is no text: {error}", where, "write valid Unicode") from None
    return made.reshape(array.shape)


def _numbers(array: Array, tensor: Tensor, where: str) -> Array:
    dtype = numpy_dtype(tensor.data_type)
    if array.dtype == dtype:
        return array
    if tensor.data_type.wire == "BF16" and array.dtype == np.dtype("V2"):
        # What numpy makes of a type that it has no name for in files.
        return array.view(dtype)
    allowed = {"b": "b", "i": "iu", "u": "iu"}.get(dtype.kind, "iuf")
    if array.dtype.kind not in allowed and array.dtype.name != "bfloat16":
        raise tensor.wrong_type(f"values of {_kind(array.dtype)}", where)
    with np.errstate(over="ignore"):
        made: Array = array.astype(dtype)
    kept = np.isfinite(made.astype(np.float64)) | ~np.isfinite(array) if dtype.kind not in "biu" else made == array
    if dtype.kind in "iu":
        kept &= (array < 0) == (made < 0)
    if not kept.all():
        worst = array[~kept].ravel()[0].item()
        raise tensor.wrong_type(f"{worst}, which does not fit", where)
    return made


def _kind(dtype: "np.dtype[Any]") -> str:
    return {"U": "text", "S": "text", "O": "several types, or of none (null)"}.get(dtype.kind, dtype.name)


@dataclass(frozen=True, slots=True)
class Wanted:
    """All inputs of a model, by name; ``batched`` where they come without a batch axis in a sample."""

    model: str
    inputs: Mapping[str, Tensor]
    batched: bool

    @classmethod
    def of(cls, config: ModelConfig) -> "Wanted":
        """Read a completed configuration. Raises ``UsageError`` for a model that declares no input."""
        if not config.input:
            raise UsageError(f"model `{config.name}` declares no input", hint="write its inputs into its config.pbtxt")
        tensors = (
            Tensor(given.name, BY_NUMBER[given.data_type], tuple(given.dims), given.optional) for given in config.input
        )
        return cls(config.name, {tensor.name: tensor for tensor in tensors}, config.max_batch_size > 0)

    @property
    def only(self) -> Tensor | None:
        """The input that a sample of one array is for: the only one, or the only one that is not optional."""
        needed = [tensor for tensor in self.inputs.values() if not tensor.optional] or list(self.inputs.values())
        return needed[0] if len(needed) == 1 else None

    @property
    def text(self) -> str:
        """The names and what they take, for people."""
        return ", ".join(f"`{tensor.name}` ({tensor.text})" for tensor in self.inputs.values())

    def only_input(self, path: str, what: str) -> Tensor:
        """Return the input of a model that has one. Raises ``UsageError`` where it has several."""
        if self.only is None:
            raise UsageError(
                f"`{path}` holds {what}, and model `{self.model}` takes several inputs",
                found=self.text,
                hint="write an .npz file with an array for each input, or a .jsonl file with a sample a line",
            )
        return self.only

    def check_names(self, names: "set[str]", where: str, label: str) -> None:
        """Tell of inputs that are missing, and of names that are none. Raises ``UsageError``."""
        missing = [name for name, tensor in self.inputs.items() if name not in names and not tensor.optional]
        strange = sorted(names - set(self.inputs))
        if missing or strange:
            raise UsageError(
                f"there is no input `{missing[0]}`" if missing else f"`{strange[0]}` is no input of `{self.model}`",
                where=where,
                found=", ".join(f"`{name}`" for name in sorted(names)) or "nothing",
                hint=f"the inputs are {self.text}; right answers are called `{label}`",
            )
