"""What was tried, in rows: the same for every form of the report."""

from collections.abc import Iterator
from dataclasses import dataclass

from windlass.optimize.tune.outcome import Outcome
from windlass.optimize.tune.search.objective import Score, frontier
from windlass.optimize.tune.space import Candidate
from windlass.optimize.tune.trials import Examined

VARIANT_COLUMNS = (
    "engine and precision",
    "cosine",
    "largest difference",
    "in a loop",
    "batch",
    "layout",
    "what came of it",
)
SERVED_COLUMNS = ("candidate", "requests/s", "p50", "p99", "at a time", "memory", "spread", "what came of it")


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row; ``best`` marks the winner, ``out`` what does not count."""

    cells: tuple[str, ...]
    best: bool = False
    out: bool = False


def variant_rows(outcome: Outcome) -> list[Row]:
    """Return engines and precisions: how true they are, how fast in a loop, and why some went no further."""
    best = max(
        (found.best[1].rate for found in outcome.examined.values() if found.best and not found.reason), default=0
    )
    rows = [_variant(found, best, outcome) for found in outcome.examined.values()]
    dashes = ("",) * (len(VARIANT_COLUMNS) - 2)
    return rows + [Row((entry.name, *dashes, f"not tried: {entry.reason}"), out=True) for entry in outcome.unfit]


def _variant(found: Examined, best: float, outcome: Outcome) -> Row:
    accuracy = found.accuracy
    cosine = "" if accuracy is None else f"{accuracy.cosine:.5f}"
    apart = "" if accuracy is None or accuracy.max_abs is None else f"{accuracy.max_abs:.3g}"
    if accuracy is not None and accuracy.task is not None:
        cosine += f" ({accuracy.task:.2%} right)"
    rate = size = layout = ""
    if found.best:
        place, lap = found.best
        rate, size, layout = f"{lap.rate:,.1f}/s", str(lap.size), place.name
    won = outcome.winner is not None and outcome.winner.variant == found.variant
    return Row(
        (found.variant.name, cosine, apart, rate, size, layout, _fate(found, best, outcome)), won, bool(found.reason)
    )


def _fate(found: Examined, best: float, outcome: Outcome) -> str:
    if found.reason:
        return found.reason
    if any(candidate.variant == found.variant and candidate.layout for candidate in outcome.scores):
        return "served"
    if found.best and best:
        return f"not served: {best / found.best[1].rate:.1f} times slower than the best in a loop"
    return "served as configured" if found.variant == outcome.study.baseline.variant else "not served"


def served_rows(outcome: Outcome) -> list[Row]:
    """Return what was served, rung by rung from the last one, the best first."""
    front = set(frontier(outcome.scores))
    return [_served(candidate, score, outcome, front) for candidate, score in ordered(outcome)]


def ordered(outcome: Outcome) -> list[tuple[Candidate, Score]]:
    """Return candidates and scores: the winner, and the others by throughput; those that are out at the end."""

    def place(pair: tuple[Candidate, Score]) -> tuple[bool, bool, float]:
        candidate, score = pair
        return (candidate != outcome.winner, bool(score.reason), -score.throughput)

    return sorted(outcome.scores.items(), key=place)


def _served(candidate: Candidate, score: Score, outcome: Outcome, front: set[Candidate]) -> Row:
    memory = f"{score.memory_bytes / 2**20:,.0f} MiB" if score.memory_bytes else ""
    if score.reason:
        return Row((candidate.name, "", "", "", "", memory, "", score.reason), out=True)
    cells = (
        candidate.name,
        f"{score.throughput:,.1f}",
        milliseconds(score.p50_us),
        milliseconds(score.p99_us),
        str(score.concurrency),
        memory,
        f"{score.spread:.0%}" if score.turns > 1 else "",
        "; ".join(_said(candidate, score, outcome, front)),
    )
    return Row(cells, candidate == outcome.winner)


def _said(candidate: Candidate, score: Score, outcome: Outcome, front: set[Candidate]) -> Iterator[str]:
    """Say why a candidate won, or in which rung it lost against what."""
    if candidate == outcome.winner:
        yield f"chosen: {outcome.why}"
        return
    if candidate in front:
        yield "on the frontier: nothing with this throughput answers sooner"
    won = outcome.scores.get(outcome.winner) if outcome.winner else None
    rung = outcome.rungs.get(candidate, "")
    if candidate == outcome.study.baseline:
        yield "what is served now"
    elif won is not None and won.throughput > score.throughput:
        yield f"lost in {rung}: the winner has {won.throughput / max(score.throughput, 1e-9):.2f} times its throughput"
    else:
        yield f"lost in {rung}: not better by more than noise, and less simple or measured more briefly"


def milliseconds(value_us: float) -> str:
    """Write a time."""
    return f"{value_us / 1000:,.1f} ms" if value_us >= 1000 else f"{value_us:,.0f} us"
