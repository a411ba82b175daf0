"""The report as one HTML file that can be mailed."""

from windlass.optimize.tune.outcome import Outcome
from windlass.optimize.tune.report.commands import commands, own
from windlass.optimize.tune.report.facts import facts, notes, verdict
from windlass.optimize.tune.report.tables import SERVED_COLUMNS, VARIANT_COLUMNS, served_rows, variant_rows
from windlass.optimize.tune.search.objective import frontier
from windlass.optimize.tune.space import Candidate
from windlass.optimize.tune.space.configuration import text
from windlass.report import Axis, Chart, Level, Series, page
from windlass.report.numbers import amount, bytes_text, duration


def html(outcome: Outcome) -> str:
    """Return the page."""
    won = outcome.winner
    return page(
        "windlass.optimize.tune.report",
        "optimize.html.j2",
        outcome=outcome,
        title=outcome.study.text,
        verdict=verdict(outcome),
        notes=notes(outcome),
        facts=facts(outcome),
        tiles=_tiles(outcome),
        charts=[drawn for drawn in (_latencies(outcome), _accuracies(outcome)) if drawn],
        served_columns=SERVED_COLUMNS,
        served=served_rows(outcome),
        variant_columns=VARIANT_COLUMNS,
        variants=variant_rows(outcome),
        commands=[] if won is None else commands(outcome, won),
        config=text(outcome.config) if outcome.changed else "",
        again=own(outcome.study),
    )


def _tiles(outcome: Outcome) -> list[tuple[str, str, str, str]]:
    """Return name, figure, unit, and what belongs to it."""
    score = outcome.scores.get(outcome.winner) if outcome.winner else None
    if score is None:
        return []
    tiles = [("Throughput", amount(score.throughput), "requests/s", f"at {score.concurrency} at a time")]
    if outcome.gain is not None and outcome.changed:
        tiles.insert(0, ("Gain", f"{outcome.gain:.1f}", "times", "the throughput of what is served now"))
    for name, value, said in (("p50", score.p50_us, "half are answered within"), ("p99", score.p99_us, "99 of 100")):
        figure, _, unit = duration(value).partition(" ")
        tiles.append((f"Latency {name}", figure, unit, said))
    figure, _, unit = bytes_text(score.memory_bytes).partition(" ")
    tiles.append(("Memory", figure, unit, "of the server under load"))
    found = outcome.examined.get(outcome.winner.variant) if outcome.winner else None
    if found and found.accuracy:
        tiles.append(("Cosine", f"{found.accuracy.cosine:.5f}", "", "with the outputs of the original"))
    return tiles


def _latencies(outcome: Outcome) -> Chart | None:
    """Throughput against latency, a line for the frontier and one for each engine's candidates."""
    by_engine: dict[str, list[Candidate]] = {}
    for candidate, score in outcome.scores.items():
        if not score.reason:
            by_engine.setdefault(candidate.variant.name, []).append(candidate)
    lines = [
        Series(name, tuple(sorted((outcome.scores[one].p99_us, outcome.scores[one].throughput) for one in found)), rank)
        for rank, (name, found) in enumerate(list(by_engine.items())[:6])
    ]
    if not lines:
        return None
    limit = outcome.study.objective.latency_p99_us
    front = ", ".join(candidate.name for candidate in frontier(outcome.scores))
    levels = (Level("limit", x=limit),) if limit is not None else ()
    tells = f"Requests a second over p99 latency. The frontier: {front}."
    x = Axis("p99 latency", log=True, write=duration)
    return Chart("Throughput and latency, served", tells, x, Axis("requests/s"), tuple(lines), levels)


def _accuracies(outcome: Outcome) -> Chart | None:
    """Speed in a loop against how far outputs are from the original's."""
    points = [
        (found.variant.name, max(1 - found.accuracy.cosine, 1e-9), found.best[1].rate)
        for found in outcome.examined.values()
        if found.accuracy and found.best
    ]
    if not points:
        return None
    lines = tuple(Series(name, ((x, y),), rank % 6) for rank, (name, x, y) in enumerate(points[:8]))
    least = outcome.study.requirement.min_cosine
    levels = (Level("asked for", x=1 - least),) if least is not None and least < 1 else ()
    tells = "; ".join(f"{name}: {y:,.0f} a second, 1 - cosine {x:.2g}" for name, x, y in points)
    x_axis = Axis("1 - cosine with the original: further right is less true", log=True, write=lambda x: f"{x:.0e}")
    return Chart("Speed and accuracy, in a loop", tells, x_axis, Axis("samples/s"), lines, levels)
