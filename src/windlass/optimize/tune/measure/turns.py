"""One turn of a served candidate: load on its server, at as many requests at a time as suit it."""

from collections.abc import Sequence
from dataclasses import dataclass

from windlass.bench.load import Closed, Load, Request, measure
from windlass.bench.outcome import INTERVAL_S, Outcome
from windlass.bench.served import Served as Running
from windlass.client import encode_request
from windlass.optimize.tune.search.knee import Bounds, Point, knee, next_concurrency
from windlass.optimize.tune.search.objective import Served
from windlass.samples import Samples

_LENGTH = "Inference-Header-Content-Length"
# Requests differ, so that nothing is answered out of a cache of the processor.
_DIFFERENT = 16
_WARM_UP = 0.5
_PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Turn:
    """How a candidate is loaded: where the search for its knee begins, and how long each window is."""

    bounds: Bounds
    window_s: float


def requests(samples: Samples) -> list[Request]:
    """Return requests of one sample each."""
    made = []
    for row in samples.rows[:_DIFFERENT]:
        inputs = {name: array[None] if samples.batched else array for name, array in row.items()}
        body, length = encode_request(inputs, (), {})
        made.append(Request(body, {_LENGTH: str(length)}))
    return made


def take(running: Running, model: str, asked: Sequence[Request], turn: Turn) -> tuple[list[Point], Served]:
    """Load a server, and return the points that were measured and what they come to."""

    def at(concurrency: int, seconds: float) -> Outcome:
        path = f"/v2/models/{model}/infer"
        mode, url = Closed(concurrency), running.http
        return measure(Load(url=url, requests=asked, mode=mode, seconds=seconds, path=path, timeout_s=_PATIENCE_S))

    warm = at(max(1, turn.bounds.start), max(0.2, turn.window_s * _WARM_UP))
    if warm.failed:
        return [], Served(None, 0, _failure(warm, running))
    points: list[Point] = []
    while (concurrency := next_concurrency(points, turn.bounds)) is not None:
        points.append(_point(concurrency, at(concurrency, turn.window_s)))
    memory = running.memory()
    size = memory.size_bytes if memory else 0
    best = knee(points, turn.bounds.limit_us)
    return points, Served(best, size, "" if best else _reason(points, turn.bounds))


def _point(concurrency: int, outcome: Outcome) -> Point:
    p50, p99 = (outcome.latencies.percentile(part) if outcome.requests else 0.0 for part in (50, 99))
    return Point(concurrency, throughput(concurrency, outcome), p50, p99, outcome.failed)


def throughput(concurrency: int, outcome: Outcome) -> float:
    """Return requests a second from the first to the last answer.

    Answers come in batches, so counting those within a short window is coarse. All that was asked is answered: what was
    under way at the end was waited for. How long that took is known to a tenth of a second from the last answer, and
    more closely from the latencies: all clients wait while requests are sent, and then all of them to the end (one
    batch) or ever fewer, half as many on average (many batches).
    """
    rest_s = max(0.0, outcome.latencies.sum_us / 1e6 / concurrency - outcome.seconds)
    answered = [place for place, interval in enumerate(outcome.intervals, 1) if interval.requests]
    behind_s = (answered[-1] if answered else 0) * INTERVAL_S - outcome.seconds
    least, most = max(rest_s, behind_s - INTERVAL_S), min(2 * rest_s, behind_s)
    return outcome.requests / (outcome.seconds + max(0.0, (least + most) / 2))


def _failure(outcome: Outcome, running: Running) -> str:
    reason, count = max(outcome.failures.items(), key=lambda pair: pair[1])
    said = outcome.examples.get(reason) or running.said().rpartition("\n")[2]
    return f"{count} of {count + outcome.requests} requests failed: {reason}" + (f": {said}" if said else "")


def _reason(points: Sequence[Point], bounds: Bounds) -> str:
    failed = next((point for point in points if point.failed), None)
    if failed:
        return f"{failed.failed} requests failed at {failed.concurrency} at a time"
    least = min(points, key=lambda point: point.p99_us)
    if bounds.limit_us is None:
        return f"no request was answered in time at {least.concurrency} at a time"
    return (
        f"p99 is {least.p99_us / 1000:.1f} ms at {least.concurrency} at a time, more than {bounds.limit_us / 1000:g} ms"
    )
