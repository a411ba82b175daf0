"""How quick two loaded models are beside each other: asked in turns, so that what else the machine does hits both."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from statistics import median
from typing import Protocol

from windlass.optimize.quantize.given import Array

_TURNS = 7


class Model(Protocol):
    """A version that is loaded."""

    def run(self, inputs: Mapping[str, Array], /) -> dict[str, Array]:
        """Return the outputs by name."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Samples per second: the median of several turns, and the slowest and the quickest of them."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, rates: Sequence[float]) -> "Speed":
        """Sum up turns."""
        return cls(median(rates), min(rates), max(rates))


def in_turns(
    models: Sequence[Model],
    requests: Sequence[Mapping[str, Array]],
    samples: int,
    *,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Speed]:
    """Ask every model for about so many seconds altogether; a request has so many samples."""
    asked = [cycle(requests) for _ in models]
    for model, questions in zip(models, asked, strict=True):
        # The first ones make room, and choose kernels.
        for _ in range(2):
            model.run(next(questions))
    rates: list[list[float]] = [[] for _ in models]
    for _ in range(_TURNS):
        for model, questions, found in zip(models, asked, rates, strict=True):
            found.append(_rate(model, questions, seconds / _TURNS, clock) * samples)
    return [Speed.of(found) for found in rates]


def _rate(model: Model, questions: "cycle[Mapping[str, Array]]", seconds: float, clock: Callable[[], float]) -> float:
    begun, count = clock(), 0
    while True:
        model.run(next(questions))
        count += 1
        if (spent := clock() - begun) >= seconds:
            return count / spent
