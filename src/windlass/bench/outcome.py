"""What came of a load: frozen values, which can be joined and written down."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

INTERVAL_S = 0.1


@dataclass(frozen=True)
class Latencies:
    """How often which latency was seen, in microseconds, exact to one part in a thousand.

    ``values_us`` rise; ``counts`` say how many there were of each. ``sum_us`` and ``max_us`` are exact.
    """

    values_us: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    sum_us: float = 0.0
    max_us: float = 0.0

    @cached_property
    def _upto(self) -> list[int]:
        return list(accumulate(self.counts))

    @property
    def count(self) -> int:
        """How many there are."""
        return self._upto[-1] if self.counts else 0

    @property
    def mean_us(self) -> float:
        """The mean; not a number where there are none."""
        return self.sum_us / self.count if self.count else math.nan

    def percentile(self, percent: float) -> float:
        """Return what so many of a hundred do not exceed, such as 99.9; not a number where there are none."""
        if not self.count:
            return math.nan
        rank = max(1, math.ceil(percent / 100 * self.count - 1e-9))
        return min(self.values_us[bisect_left(self._upto, rank)], self.max_us)


def join(several: Sequence[Latencies]) -> Latencies:
    """Return the latencies of several loads as if they were one's."""
    counts: Counter[float] = Counter()
    for one in several:
        counts.update(dict(zip(one.values_us, one.counts, strict=True)))
    values = sorted(counts)
    return Latencies(
        values_us=tuple(values),
        counts=tuple(counts[value] for value in values),
        sum_us=math.fsum(one.sum_us for one in several),
        max_us=max((one.max_us for one in several), default=0.0),
    )


@dataclass(frozen=True, slots=True)
class Interval:
    """What was answered in a tenth of a second: requests, the sum of their latencies, and those that failed."""

    requests: int
    failures: int
    latency_sum_us: float

    @property
    def mean_us(self) -> float:
        """The mean latency; not a number where nothing was answered."""
        return self.latency_sum_us / self.requests if self.requests else math.nan


@dataclass(frozen=True)
class Outcome:
    """What came of one load."""

    requests: int
    """Answered with success. Those that were under way at the end were waited for and are among them."""
    failures: Mapping[str, int]
    """How many failed, by the reason: ``status 500``, ``grpc status 14 (UNAVAILABLE)``, ``connection refused``,
    ``connection reset``, ``connection closed early``, ``timed out``, ``malformed answer``..."""
    unsent: int
    """Open loop: requests that became due and could not be sent before the end. Neither requests nor failures."""
    seconds: float
    """How long requests were sent."""
    latencies: Latencies
    """Of the successful: in a closed loop from when a request was sent, in an open loop from when it was due."""
    delays: Latencies
    """Open loop: how long after it was due each request was sent, for want of a free place or of the processor."""
    intervals: tuple[Interval, ...]
    """Tenths of a second from the start, by when the answer came; those behind ``seconds`` came after the end."""
    connections: int
    """Connections that were made: more than were asked for where the server closed some."""
    cpu_seconds: float
    """The generator's own processor time, of all loads that were measured together."""
    examples: Mapping[str, str] = field(default_factory=dict)
    """The beginning of what the server said with the first failure of each reason, where it said something."""

    @property
    def rate(self) -> float:
        """Requests answered with success a second, while requests were sent."""
        whole = int(self.seconds / INTERVAL_S + 1e-6)
        if not whole:
            return self.requests / self.seconds
        return sum(interval.requests for interval in self.intervals[:whole]) / (whole * INTERVAL_S)

    @property
    def failed(self) -> int:
        """How many failed, for whatever reason."""
        return sum(self.failures.values())
