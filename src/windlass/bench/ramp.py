"""Finding the knee: which load to try next, and which was the most that is still served well. Values only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from windlass.bench.levels import Kind

# A step that brings less has found the end of growth.
GROWTH = 1.05
# So much of the best throughput is as good as the best.
NEARLY = 0.95
# An open loop is carried when so much of the rate is answered; a server is bad that fails more often.
CARRIED = 0.95
FAILING = 0.01
# Lowest load that is tried, as a part of the first, when the first is too much.
_LEAST = 1 / 64


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured at one load: answers a second, their 99th percentile, and the share that failed."""

    value: float
    rate: float
    p99_us: float
    failed: float = 0.0


@dataclass(frozen=True, slots=True)
class Ramp:
    """Where to look: from ``first`` up to ``last``, for what answers within ``limit_us`` where that is given.

    Where the first is too much it goes down, to ``least`` clients.
    """

    kind: Kind
    first: float
    last: float
    limit_us: float | None = None
    closeness: float = 0.1
    least: int = 1

    def good(self, reading: Reading) -> bool:
        """Tell whether a load is served well."""
        within = self.limit_us is None or reading.p99_us <= self.limit_us
        carried = self.kind == "concurrency" or reading.rate >= CARRIED * reading.value
        return within and carried and reading.failed <= FAILING and reading.rate > 0


def next_value(readings: Sequence[Reading], ramp: Ramp) -> float | None:
    """Return the load to measure next; ``None`` when the knee is known as closely as asked."""
    if not readings:
        return ramp.first
    tried = sorted(readings, key=lambda reading: reading.value)
    bad = [reading.value for reading in tried if not ramp.good(reading)]
    good = [reading.value for reading in tried if ramp.good(reading) and (not bad or reading.value < bad[0])]
    if not good:
        return _lower(bad[0], ramp)
    if bad:
        return _between(good[-1], bad[0], ramp)
    return _higher(tried, ramp)


def knee(readings: Sequence[Reading], ramp: Ramp) -> Reading | None:
    """Return the best of what was measured: the highest load that is served well.

    In a closed loop without a limit more load is always served, only slower: there it is the lowest load with nearly
    the best throughput.
    """
    good = sorted((one for one in readings if ramp.good(one)), key=lambda reading: reading.value)
    if not good:
        return None
    if ramp.kind == "rate" or ramp.limit_us is not None:
        return max(good, key=lambda reading: (reading.rate, -reading.value)) if _unordered(good) else good[-1]
    best = max(reading.rate for reading in good)
    return next(reading for reading in good if reading.rate >= NEARLY * best)


def _unordered(good: Sequence[Reading]) -> bool:
    """Tell whether more load has brought less: then the highest load is not the best."""
    return good[-1].rate < NEARLY * max(reading.rate for reading in good)


def _lower(value: float, ramp: Ramp) -> float | None:
    """Even the first is too much."""
    if ramp.kind == "concurrency":
        half = max(int(value) // 2, ramp.least)
        return float(half) if half < value else None
    return value / 2 if value / 2 >= ramp.first * _LEAST else None


def _between(low: float, high: float, ramp: Ramp) -> float | None:
    if ramp.kind == "concurrency":
        middle = float((int(low) + int(high)) // 2)
        return middle if middle > low and high / low > 1 + ramp.closeness else None
    return math.sqrt(low * high) if high / low > 1 + ramp.closeness else None


def _higher(tried: Sequence[Reading], ramp: Ramp) -> float | None:
    last = tried[-1]
    if last.value >= ramp.last:
        return None
    before = max((reading.rate for reading in tried[:-1]), default=0.0)
    if ramp.kind == "concurrency" and ramp.limit_us is None and last.rate < GROWTH * before:
        return None
    return min(last.value * 2, ramp.last)
