"""What the original and the export are both asked: the same rows at several sizes of every open axis. Values only.

One size proves little: what an exporter took for a constant is one only for the size of its example.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np

from windlass.config import ModelConfig
from windlass.optimize.export.axes import free_axes, shapes
from windlass.samples import Samples

Array = np.ndarray[Any, Any]
Row = Mapping[str, Array]

BATCHES = (1, 2, 3, 5)
# What an open axis is where the rows are generated, and what it is then made.
OPEN_SIZE = 16
SIZES = (1, 7, 24, 33)
# The batch that other axes are changed under, where the model takes it: 1 is often a special case.
_USUAL = 2

# A place in one row: an input, and the axis of it.
Axis = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Size:
    """How large a question is: its batch, 0 where the model has none, and the size that some axes were made."""

    batch: int
    axes: tuple[str, ...] = ()
    size: int = 0

    @property
    def text(self) -> str:
        """Say it: ``batch 2, ids[0] 7``."""
        parts = [f"batch {self.batch}"] if self.batch else []
        return ", ".join([*parts, *(f"{axis} {self.size}" for axis in self.axes)]) or "one request"


@dataclass(frozen=True, slots=True)
class Probe:
    """One question. What is ``given`` is a person's own, and has to be answered."""

    inputs: dict[str, Array]
    size: Size
    given: bool = False


def probes(config: ModelConfig, samples: Samples, *, given: bool) -> Iterator[Probe]:
    """Yield rows in batches of several sizes, then with open axes of other sizes: all together, and each alone."""
    rows = [_executed(config, row) for row in samples.rows]
    first = [row for row in rows if _alike(row, rows[0])]
    allowed = sorted({min(size, config.max_batch_size) for size in BATCHES}) if config.max_batch_size > 0 else [0]
    for batch in allowed:
        yield Probe(_stacked(first, batch), Size(batch), given)
    if given or not allowed[-1]:
        yield from (Probe(_stacked([row], allowed[0]), Size(allowed[0]), given) for row in rows[max(allowed[-1], 1) :])
    usual = max(batch for batch in allowed if batch <= _USUAL)
    for axes in _changes(free_axes(config)):
        for size in SIZES:
            resized = [_resized(row, axes, size) for row in first[: max(usual, 1)]]
            names = tuple(f"{name}[{axis}]" for name, axis in axes)
            yield Probe(_stacked(resized, usual), Size(usual, names, size))


def summary(sizes: Sequence[Size]) -> str:
    """Say many sizes: ``batch 1, 2, 3, 5; ids[0], mask[0] 1, 7, 24, 33``."""
    found: dict[tuple[str, ...], dict[int, None]] = {}
    for size in sizes:
        found.setdefault(size.axes, {})[size.size if size.axes else size.batch] = None
    said = [f"{', '.join(axes) or 'batch'} {', '.join(map(str, counts))}" for axes, counts in found.items()]
    return "; ".join(text for text in said if text != "batch 0") or "its only size"


def _changes(axes: list[Axis]) -> list[list[Axis]]:
    """Change all axes together, since most belong together; and each alone, in case that they do not."""
    if len(axes) < 2:
        return [axes] if axes else []
    return [axes, *([axis] for axis in axes)]


def _executed(config: ModelConfig, row: Row) -> dict[str, Array]:
    """Give a client's row the shape that the model sees, where the server would."""
    reshaped = {given.name: tuple(given.reshape.shape) for given in config.input if given.HasField("reshape")}
    return {name: row[name].reshape(reshaped.get(name, row[name].shape)) for name in shapes(config) if name in row}


def _alike(row: Row, other: Row) -> bool:
    return all(array.shape == other[name].shape for name, array in row.items())


def _stacked(rows: Sequence[Row], batch: int) -> dict[str, Array]:
    """Join ``batch`` rows, from the first again where there are fewer; without a batch, take the first."""
    if batch == 0:
        return dict(rows[0])
    chosen = list(islice(cycle(rows), batch))
    return {name: np.stack([row[name] for row in chosen]) for name in rows[0]}


def _resized(row: Row, axes: Sequence[Axis], size: int) -> dict[str, Array]:
    """Repeat or cut what is along the axes: the values stay ones that the model knows."""
    arrays = dict(row)
    for name, axis in axes:
        array = arrays[name]
        arrays[name] = np.take(array, np.arange(size) % array.shape[axis], axis=axis)
    return arrays
