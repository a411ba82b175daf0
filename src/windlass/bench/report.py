"""The report of a measurement: one HTML file that can be mailed."""

import math
from collections.abc import Sequence

from windlass.bench import table
from windlass.bench.point import Point
from windlass.bench.result import PROTOCOLS, Result
from windlass.report import Axis, Bars, Chart, Level, Series, page
from windlass.report.chart import described
from windlass.report.numbers import amount, bytes_text, duration

# More lines than these cannot be told apart.
_LINES = 6
_CURVE = (25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99)
_PERCENTILES = (50.0, 90.0, 99.0, 99.9)


def html(result: Result) -> str:
    """Return the page."""
    answered = [point for point in result.ascending if point.total.requests]
    shown = result.best or (answered[-1] if answered else None)
    return page(
        "windlass.bench",
        "bench.html.j2",
        result=result,
        protocol=PROTOCOLS[result.protocol],
        tiles=_tiles(shown, result) if shown else [],
        charts=list(_charts(answered, result)),
        times=_times(answered),
        line=_line(shown) if shown and shown.ticks else None,
        shown=shown,
        columns=table.columns(result),
        rows=list(table.rows(result)),
        memory_kind=_memory_kind(result),
    )


def _tiles(point: Point, result: Result) -> list[tuple[str, str, str, str]]:
    """Return name, figure, unit, and what belongs to it."""
    heard, told = point.total, [part.server for part in point.parts if part.server]
    rows = f"{amount(heard.rate * result.batch)} rows a second" if result.batch > 1 else f"at {point.level}"
    tiles = [("Throughput", amount(heard.rate), "req/s", rows)]
    for percent, words in ((50, "half are answered within"), (99, "99 of 100 are answered within")):
        figure, _, unit = duration(heard.latencies.percentile(percent)).partition(" ")
        tiles.append((f"Latency p{percent}", figure, unit, words))
    total = sum(server.total_us for server in told)
    if total > 0:
        queue, compute = (sum(getattr(one, name) for one in told) / total for name in ("queue_us", "compute_us"))
        tiles.append(("Computing", f"{compute:.0%}", "", f"of the time in the server; {queue:.0%} in its queue"))
    if point.cpu_us is not None and point.cost:
        figure, _, unit = duration(point.cpu_us).partition(" ")
        tiles.append(("CPU per request", figure, unit, f"{point.cost.cores:.2f} cores busy"))
        if point.cost.memory:
            figure, _, unit = bytes_text(point.cost.memory.size_bytes).partition(" ")
            tiles.append(("Server memory", figure, unit, point.cost.memory.kind))
    return tiles


def _charts(points: Sequence[Point], result: Result) -> "list[Chart]":
    charts = [_throughput(points, result), _latency(points, result)] if len(points) > 1 else []
    return [*charts, _curve(points, result)] if points else charts


def _levels(points: Sequence[Point], result: Result) -> Axis:
    values = tuple(point.level.value for point in points)
    wide = values[-1] / values[0] >= 8
    name = "clients at a time" if result.kind == "concurrency" else "requests offered a second"
    return Axis(name, log=wide, marks=values)


def _knee(result: Result) -> tuple[Level, ...]:
    return (Level("best", x=result.best.level.value),) if result.best else ()


def _throughput(points: Sequence[Point], result: Result) -> Chart:
    lines = [Series("answered", tuple((one.level.value, one.total.rate) for one in points), rank=1, filled=True)]
    if result.kind == "rate":
        lines.append(
            Series("offered", tuple((one.level.value, one.level.value) for one in points), rank=5, dotted=False)
        )
    tells = f"Requests answered a second: {described(lines)}."
    return Chart("Throughput", tells, _levels(points, result), Axis("requests/s"), tuple(lines), _knee(result))


def _latency(points: Sequence[Point], result: Result) -> Chart:
    lines = tuple(
        Series(
            f"p{percent:g}",
            tuple((one.level.value, one.total.latencies.percentile(percent)) for one in points),
            rank=rank,
        )
        for rank, percent in enumerate(_PERCENTILES)
    )
    levels = _knee(result)
    if result.limit_us is not None:
        levels = (*levels, Level(f"limit {duration(result.limit_us)}", y=result.limit_us))
    tells = f"Latency by percentile: {described(lines, duration)}."
    return Chart("Latency", tells, _levels(points, result), _time_axis(lines), lines, levels)


def _curve(points: Sequence[Point], result: Result) -> Chart:
    """Latency over percentiles: the rare is stretched, since that is where users are lost."""
    lines = tuple(
        Series(
            f"{one.level.value:g}" + (" (best)" if one is result.best and len(points) > 1 else ""),
            tuple((_rarity(percent), one.total.latencies.percentile(percent)) for percent in _known(one)),
            rank=rank,
        )
        for rank, one in enumerate(_chosen(points, result))
    )
    marks = tuple(
        _rarity(percent) for percent in (50.0, 90.0, 99.0, 99.9, 99.99) if percent <= max(map(_highest, points))
    )
    axis = Axis("percentile", log=True, write=_percentile, marks=marks, low=1.0)
    tells = f"Latency over percentiles, one line for each level: {described(lines, duration)}."
    return Chart("Latency by percentile", tells, axis, _time_axis(lines), lines)


def _chosen(points: Sequence[Point], result: Result) -> list[Point]:
    """Choose levels far from each other, the best among them."""
    if len(points) <= _LINES:
        return list(points)
    step = (len(points) - 1) / (_LINES - 1)
    places = {round(index * step) for index in range(_LINES)}
    if result.best in points:
        place = points.index(result.best)
        places = places - {min(places - {0, len(points) - 1}, key=lambda other: abs(other - place))} | {place}
    return [points[place] for place in sorted(places)]


def _known(point: Point) -> list[float]:
    """Return the percentiles that so many answers can tell."""
    highest = _highest(point)
    return [percent for percent in _CURVE if percent <= highest]


def _highest(point: Point) -> float:
    return 100.0 * (1 - 1 / max(point.total.latencies.count, 2))


def _rarity(percent: float) -> float:
    return 100.0 / (100.0 - percent)


def _percentile(rarity: float) -> str:
    return f"{round(100.0 - 100.0 / rarity, 6):g}"


def _time_axis(lines: Sequence[Series]) -> Axis:
    values = [y for line in lines for _, y in line.points if y > 0]
    wide = bool(values) and max(values) / min(values) > 25
    return Axis("latency", log=wide, write=duration)


def _times(points: Sequence[Point]) -> Bars | None:
    """Where the time of a request goes, level by level, or model by model where there are several."""
    open_loop = bool(points) and points[0].level.kind == "rate"
    parts = ("in the queue", "computed", "network and the rest") + (("waiting to be sent",) if open_loop else ())
    rows = []
    for point in points:
        for part in point.parts:
            told, mean = part.server, part.heard.latencies.mean_us
            if told is None or math.isnan(mean):
                continue
            waited = min(part.heard.delay_us, mean) if open_loop else 0.0
            rest = max(mean - waited - told.queue_us - told.compute_us, 0.0)
            values = [told.queue_us, told.compute_us, rest] + ([waited] if open_loop else [])
            name = f"{point.level.value:g}" if len(point.parts) == 1 else f"{point.level.value:g} {part.model}"
            rows.append((name, duration(mean), [(value, duration(value)) for value in values]))
    if not rows:
        return None
    tells = "; ".join(
        f"{name}: {text}, of which "
        + ", ".join(f"{words} {part}" for part, (_, words) in zip(parts, values, strict=True))
        for name, text, values in rows
    )
    return Bars.of("Where the time goes", f"Means of a request. {tells}.", parts, rows)


def _line(point: Point) -> Chart:
    """Answers over time: a server that stalls shows it here."""
    lines = [Series("answered", tuple((tick.at, tick.rate) for tick in point.ticks), rank=1, filled=True, dotted=False)]
    if any(tick.failing for tick in point.ticks):
        lines.append(Series("failed", tuple((tick.at, tick.failing) for tick in point.ticks), rank=3, dotted=False))
    rates = [tick.rate for tick in point.ticks]
    tells = f"Answers a second, every tenth of a second: from {amount(min(rates))} to {amount(max(rates))}."
    return Chart(f"Over time, at {point.level}", tells, Axis("seconds"), Axis("requests/s"), tuple(lines))


def _memory_kind(result: Result) -> str:
    return next((point.cost.memory.kind for point in result.points if point.cost and point.cost.memory), "")
