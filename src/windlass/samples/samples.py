"""Samples: what a model is asked about, one by one or in batches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]
Row: TypeAlias = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Samples:
    """What a model is asked about. ``source`` says where it is from.

    A row has an array for each input by name: of one sample, without the batch axis, where the model has one
    (``batched``); else of one whole request. ``labels`` are the right answers, one for each row, where they are known.
    """

    rows: tuple[Row, ...]
    batched: bool
    source: str
    labels: Array | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def batches(self, size: int = 1) -> Iterator[dict[str, Array]]:
        """Yield the inputs of requests with up to ``size`` rows, in order; only neighbours of one shape share one.

        Without a batch axis each row is a request.
        """
        if not self.batched:
            yield from (dict(row) for row in self.rows)
            return
        for _, alike in groupby(self.rows, key=_shapes):
            rows = list(alike)
            for start in range(0, len(rows), size):
                some = rows[start : start + size]
                yield {name: np.stack([row[name] for row in some]) for name in some[0]}


def _shapes(row: Row) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((name, array.shape) for name, array in row.items())
