"""What a model is, as one value: for people who look at it, and for whoever decides what to make of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from windlass.backends.signature import TensorSignature
from windlass.config import ModelConfig
from windlass.config.datatypes import BY_CONFIG, BY_NUMBER


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file says of its model. Shapes are whole, ``-1`` for any size; ``None`` stands for what it does not say.

    ``operators`` are counted, the most frequent first. ``precisions`` are the parameters by their data type.
    ``engines`` are the backends that take the file as it is.
    """

    format: str
    inputs: tuple[TensorSignature, ...] | None
    outputs: tuple[TensorSignature, ...] | None
    operators: Mapping[str, int]
    size_bytes: int
    precisions: Mapping[str, int]
    engines: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """How many numbers were learnt."""
        return sum(self.precisions.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the members as JSON would have them."""
        return {
            "format": self.format,
            "inputs": _tensors(self.inputs),
            "outputs": _tensors(self.outputs),
            "operators": dict(self.operators),
            "parameters": self.parameters,
            "size_bytes": self.size_bytes,
            "precisions": dict(self.precisions),
            "engines": list(self.engines),
            "notes": list(self.notes),
        }


def _tensors(tensors: tuple[TensorSignature, ...] | None) -> list[dict[str, Any]] | None:
    if tensors is None:
        return None
    return [
        {"name": tensor.name, "data_type": BY_CONFIG[tensor.data_type].wire, "shape": list(tensor.shape)}
        for tensor in tensors
    ]


def declared(tensors: Any, config: ModelConfig) -> tuple[TensorSignature, ...]:
    """Return what a configuration declares of inputs or outputs, with the axis of the batch."""
    front = (-1,) if config.max_batch_size > 0 else ()
    return tuple(TensorSignature(one.name, BY_NUMBER[one.data_type].config, (*front, *one.dims)) for one in tensors)


def ranked(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts, the largest first, equal ones by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
