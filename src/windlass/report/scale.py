"""From values to places on an axis, and where its ticks stand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps ``low`` to ``start`` and ``high`` to ``end``; in equal steps, or with ``log`` in equal factors."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return where a value stands; values outside stand at the border."""
        low, high, at = (self._bent(number) for number in (self.low, self.high, value))
        share = 0.5 if high == low else min(max((at - low) / (high - low), 0.0), 1.0)
        return round(self.start + share * (self.end - self.start), 2)

    def _bent(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.log else value


def ticks(low: float, high: float, *, count: int = 5, log: bool = False) -> list[float]:
    """Return round values between two others, about so many of them."""
    if high <= low:
        return [low]
    return _log_ticks(low, high, count) if log else _even_ticks(low, high, count)


def _even_ticks(low: float, high: float, count: int) -> list[float]:
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
        within = [value for value in found if low * 0.999 <= value <= high * 1.001]
        if len(within) <= count + 2:
            break
    return within or [low, high]


def ceiling(values: Sequence[float]) -> float:
    """Return a round value above the highest: the end of an axis that starts at zero."""
    highest = max(values, default=0.0)
    if highest <= 0:
        return 1.0
    step = _even_ticks(0, highest, 4)[1]
    return math.ceil(highest / step - 1e-9) * step


def apart(places: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Move places as little as needed until neighbours are so far from each other, within borders.

    Where there is not room for all, they share what there is.
    """
    count = len(places)
    distance = min(distance, (high - low) / max(count - 1, 1))
    order = sorted(range(count), key=lambda index: places[index])
    moved = [0.0] * count
    at = -math.inf
    for index in order:
        at = moved[index] = max(places[index], at + distance, low)
    at = math.inf
    for index in reversed(order):
        at = moved[index] = min(moved[index], at - distance, high)
    return [round(place, 2) for place in moved]
