"""Samples: what a model is asked about, one by one or in batches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]
Row: TypeAlias = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Samples:
    """What a model is asked about. ``source`` says where it is from.

    A row has an array for each input by name: of one sample, without the batch axis, where the model has one
    (``batched``); else of one whole request. ``labels`` are the right answers, one for each row, where they are known;
    ``origins`` tell where each row is from, where that is more than its place.
    """

    rows: tuple[Row, ...]
    batched: bool
    source: str
    labels: Array | None = None
    origins: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def origin(self, index: int) -> str:
        """Tell where a row is from."""
        return self.origins[index] if self.origins else f"{self.source}[{index}]"

    def batches(self, size: int = 1) -> Iterator[dict[str, Array]]:
        """Yield the inputs of requests with up to ``size`` rows, in order; only neighbours of one shape share one.

        Without a batch axis each row is a request. Rows are read as they are needed, each once.
        """
        if not self.batched:
            yield from (dict(row) for row in self.rows)
            return
        alike: list[Row] = []
        for row in map(dict, self.rows):
            if alike and (len(alike) == size or _shapes(row) != _shapes(alike[0])):
                yield _joined(alike)
                alike = []
            alike.append(row)
        if alike:
            yield _joined(alike)


def _joined(rows: list[Row]) -> dict[str, Array]:
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _shapes(row: Row) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in row.items()}
