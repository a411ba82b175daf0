"""How many requests at a time suit a server: found by few measurements, each telling which is the next.

In a closed loop of ``c`` requests latency is ``c`` divided by throughput once the server is busy (Little's law), so one
measurement tells where a limit of latency will be met.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# A point has the knee's throughput when it has this part of the best.
NEAR = 0.97
# More concurrency is tried while it gives this much more.
GAIN = 1.05
# Latency is aimed at this part of the limit: what is measured varies.
AIM = 0.9


@dataclass(frozen=True, slots=True)
class Point:
    """A measured concurrency. Throughput counts requests that were answered well, a second."""

    concurrency: int
    throughput: float
    p50_us: float
    p99_us: float
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where to begin, where to end, and the limit of p99 latency."""

    start: int
    most: int = 512
    limit_us: float | None = None
    points: int = 5


def next_concurrency(points: Sequence[Point], bounds: Bounds) -> int | None:
    """Return what to measure next; nothing when the knee is known well enough."""
    if not points:
        return max(1, min(bounds.start, bounds.most))
    if len(points) >= bounds.points or points[-1].failed:
        return None
    wanted = _within(points, bounds.limit_us) if bounds.limit_us else _rising(points)
    known = {point.concurrency for point in points}
    return None if wanted is None or wanted in known or not 1 <= wanted <= bounds.most else wanted


def knee(points: Sequence[Point], limit_us: float | None) -> Point | None:
    """Return the least concurrency that has nearly the best throughput within the limit."""
    fit = [
        point
        for point in points
        if point.throughput > 0 and not point.failed and (limit_us is None or point.p99_us <= limit_us)
    ]
    if not fit:
        return None
    most = max(point.throughput for point in fit)
    return min(
        (point for point in fit if point.throughput >= NEAR * most),
        key=lambda point: (point.concurrency, -point.throughput),
    )


def _rising(points: Sequence[Point]) -> int | None:
    """Double while it gives more; then look once below where it began."""
    ordered = sorted(points, key=lambda point: point.concurrency)
    last, before = ordered[-1], [point for point in ordered if point.concurrency < ordered[-1].concurrency]
    if not before or last.throughput >= GAIN * max(point.throughput for point in before):
        return last.concurrency * 2
    first = ordered[0]
    return first.concurrency // 2 if first.throughput >= NEAR * last.throughput else None


def _within(points: Sequence[Point], limit_us: float) -> int | None:
    """Go where Little's law has the limit: downwards from above it, and upwards while that gives more."""
    best = knee(points, limit_us)
    if best is None:
        lowest = min(points, key=lambda point: point.concurrency)
        return min(_aimed(lowest, limit_us), lowest.concurrency - 1)
    above = [point.concurrency for point in points if point.concurrency > best.concurrency]
    aimed = _aimed(best, limit_us)
    if above:
        aimed = min(aimed, (best.concurrency + min(above)) // 2)
    elif _flat(points):
        return None
    return aimed if aimed > 1.1 * best.concurrency else None


def _aimed(point: Point, limit_us: float) -> int:
    return max(1, int(point.concurrency * min(AIM * limit_us / max(point.p99_us, 1.0), 8.0)))


def _flat(points: Sequence[Point]) -> bool:
    """Tell whether the last doubling or so gave nothing more."""
    ordered = sorted(points, key=lambda point: point.concurrency)
    return len(ordered) > 1 and ordered[-1].throughput < GAIN * ordered[-2].throughput
