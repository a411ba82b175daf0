"""Asks a model for its outputs, with samples that were made for another one, where the two take them differently."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from windlass.config import ModelConfig
from windlass.config.datatypes import numpy_dtype, of_array
from windlass.errors import BackendError, ClientError, UsageError
from windlass.optimize.compare.pairing import Arrays, counterparts
from windlass.optimize.source import Source
from windlass.repository import ModelEntry
from windlass.samples.samples import Array
from windlass.samples.wanted import Tensor, Wanted


class Model(Protocol):
    """A version that is loaded."""

    @property
    def config(self) -> ModelConfig:
        """What it goes by, completed."""

    def run(self, inputs: Mapping[str, Array], /) -> dict[str, Array]:
        """Return the outputs by name."""


@contextmanager
def opened(source: Source) -> Iterator[Model]:
    """Load a version until the block ends. Raises ``ModelLoadError``."""
    # A server is more than those need who only measure differences.
    from windlass.serving.solo import solo

    entry = ModelEntry(source.name, source.model, source.config, {source.version: source.folder})
    with solo(entry, source.version) as model:
        yield model


@dataclass(frozen=True, slots=True)
class Asked:
    """One side of a comparison. ``names`` are its inputs by the names that the samples give them."""

    side: str
    model: Model
    wanted: Wanted
    names: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @classmethod
    def like(cls, side: str, model: Model, first: Wanted, renamed: Mapping[str, str]) -> "Asked":
        """Prepare to ask a model what is asked of another. Raises ``UsageError`` where that has too few inputs."""
        wanted = Wanted.of(model.config)
        names, notes = counterparts(first.inputs, wanted.inputs, renamed, "input")
        given = set(names.values())
        lacking = [tensor for tensor in wanted.inputs.values() if tensor.name not in given and not tensor.optional]
        if lacking:
            raise UsageError(
                f"{side} takes the input `{lacking[0].name}`, which A does not",
                found=f"A takes {first.text}",
                hint=f"say which input of A it is: `--rename NAME={lacking[0].name}`",
            )
        left = [name for name in first.inputs if name not in names]
        dropped = tuple(f"input `{name}` of A is not given to {side}, which does not take it" for name in left)
        changed = tuple(
            f"input `{name}`: A takes {tensor.data_type.wire}, {side} takes {other.data_type.wire}, and gets it cast"
            for name, tensor in first.inputs.items()
            if name in names and (other := wanted.inputs[names[name]]).data_type != tensor.data_type
        )
        return cls(side, model, wanted, names, (*notes, *dropped, *changed))

    def answer(self, inputs: Arrays, origin: str) -> dict[str, Array]:
        """Return the outputs for inputs whose first axis is that of the samples; theirs is as well.

        Raises ``BackendError`` with the model's reason where it fails.
        """
        wanted = {
            other: (self.wanted.inputs[other], inputs[name]) for name, other in self.names.items() if name in inputs
        }
        alone = {array.ndim - self._rank(tensor) for tensor, array in wanted.values()}
        if alone not in ({0}, {1}):
            given = ", ".join(f"`{name}` {list(array.shape)}" for name, (_, array) in wanted.items())
            raise UsageError(
                f"{self.side} takes its inputs in another shape", found=given, hint=f"it takes {self.wanted.text}"
            )
        whole = alone == {1}
        try:
            outputs = self.model.run(
                {name: _cast(array[0] if whole else array, tensor) for name, (tensor, array) in wanted.items()}
            )
        except ClientError as error:
            raise BackendError(
                f"{self.side} does not answer: {error.message}", where=origin, hint=error.hint
            ) from error
        return {name: array[np.newaxis] for name, array in outputs.items()} if whole else outputs

    def _rank(self, tensor: Tensor) -> int:
        return len(tensor.dims) + self.wanted.batched


def _cast(array: Array, tensor: Tensor) -> Array:
    if tensor.holds_texts != (of_array(array.dtype).wire == "BYTES"):
        raise UsageError(f"input `{tensor.name}`: A and B do not both take strings", hint="compare models of one kind")
    return array if tensor.holds_texts else array.astype(numpy_dtype(tensor.data_type), copy=False)
