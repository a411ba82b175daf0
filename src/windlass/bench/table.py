"""The table of a measurement, for the terminal and for the report."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from windlass.bench.point import PERCENTILES, Part, Point
from windlass.bench.result import Result
from windlass.bench.statistics import ServerSide
from windlass.bench.windows import Heard
from windlass.report.numbers import amount, bytes_text, duration

NOTHING = "-"
Write = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its cells, and whether it is one model's part of a level, or the best level."""

    cells: tuple[str, ...]
    part: bool = False
    best: bool = False


def columns(result: Result) -> tuple[str, ...]:
    """Name the columns; those that would be empty are left out."""
    level = "clients" if result.kind == "concurrency" else "rate"
    percentiles = (f"p{percent:g}" for percent in PERCENTILES)
    rows = ("rows/s",) if result.batch > 1 else ()
    cost = ("CPU", "memory") if _has_cost(result) else ()
    return (level, "req/s", *rows, *percentiles, "max", "queue", "compute", "batch", *cost, "failed")


def rows(result: Result, time: Write = duration) -> Iterator[Row]:
    """Yield a line for each level, and below it one for each model where there are several. ``time`` writes times."""
    for point in result.ascending:
        only = point.parts[0].server if len(point.parts) == 1 else None
        heard, cost = _heard(point.total, result, time), _cost(point, result, time)
        cells = (f"{point.level.value:g}", *heard, *_server(only, time), *cost, _failed(point.total))
        yield Row(cells, best=point is result.best)
        if len(point.parts) > 1:
            for part in point.parts:
                yield _part(part, result, time)


def milliseconds(us: float) -> str:
    """Write a time without its unit, for a narrow table."""
    return amount(us / 1e3)


def _part(part: Part, result: Result, time: Write) -> Row:
    cost = (NOTHING, NOTHING) if _has_cost(result) else ()
    heard = _heard(part.heard, result, time)
    return Row((part.model, *heard, *_server(part.server, time), *cost, _failed(part.heard)), part=True)


def _has_cost(result: Result) -> bool:
    return any(point.cost for point in result.points)


def _heard(heard: Heard, result: Result, time: Write) -> Iterator[str]:
    yield amount(heard.rate)
    if result.batch > 1:
        yield amount(heard.rate * result.batch)
    for percent in PERCENTILES:
        yield time(heard.latencies.percentile(percent))
    yield time(heard.latencies.max_us if heard.requests else math.nan)


def _server(told: ServerSide | None, time: Write) -> tuple[str, ...]:
    if told is None:
        return (NOTHING,) * 3
    return time(told.queue_us), time(told.compute_us), amount(told.batch)


def _cost(point: Point, result: Result, time: Write) -> Iterator[str]:
    if _has_cost(result):
        yield NOTHING if point.cpu_us is None else time(point.cpu_us)
        memory = point.cost.memory if point.cost else None
        yield NOTHING if memory is None else bytes_text(memory.size_bytes)


def _failed(heard: Heard) -> str:
    return f"{heard.failed:.2%}" if heard.failures else "0"
