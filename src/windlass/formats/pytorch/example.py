"""Tensors to run a module with, at any batch and any size of its open axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.backends.signature import TensorSignature
from windlass.formats.pytorch.types import data_type, filled, torch

# Sizes of open axes but the batch's, until a module takes one: texts are short, images must not vanish.
OPEN_SIZES = (16, 32, 64, 224)


@dataclass(frozen=True, slots=True)
class Example:
    """Tensors by the arguments of ``forward()``, and their axes that may have another size. Axis 0 is the batch's."""

    tensors: Mapping[str, Any]
    open_axes: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, signatures: Sequence[TensorSignature], open_size: int) -> "Example":
        """Make tensors that fit, always the same ones."""
        tensors = {one.name: filled(one, 2, open_size, seed) for seed, one in enumerate(signatures)}
        axes = {one.name: tuple(axis for axis, size in enumerate(one.shape) if size < 0) for one in signatures}
        return cls(tensors, axes)

    @property
    def has_open_sizes(self) -> bool:
        """Tell whether anything besides the batch is open."""
        return any(axis for axes in self.open_axes.values() for axis in axes)

    def at(self, batch: int, scale: float = 1.0) -> dict[str, Any]:
        """Return the tensors repeated or cut along their open axes, the others ``scale`` times as large."""
        return {name: self._resized(name, tensor, batch, scale) for name, tensor in self.tensors.items()}

    def _resized(self, name: str, tensor: Any, batch: int, scale: float) -> Any:
        for axis in self.open_axes[name]:
            # Sizes of 1 would be taken for fixed ones, and tell nothing.
            size = batch if axis == 0 else max(2, int(tensor.shape[axis] * scale))
            places = torch().arange(size) % tensor.shape[axis]
            tensor = tensor.index_select(axis, places)
        return tensor

    def signatures(self) -> tuple[TensorSignature, ...]:
        """Return the inputs as a configuration names them."""
        return tuple(
            TensorSignature(
                name,
                data_type(tensor),
                tuple(-1 if axis in self.open_axes[name] else size for axis, size in enumerate(tensor.shape)),
            )
            for name, tensor in self.tensors.items()
        )
