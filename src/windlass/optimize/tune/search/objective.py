"""What is wanted, and which of two results has more of it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from windlass.optimize.tune.search.knee import Point
from windlass.optimize.tune.space import Candidate

# Differences below this are taken for noise, and the simpler candidate is preferred.
MARGIN = 0.03


@dataclass(frozen=True, slots=True)
class Objective:
    """Throughput, within limits: of p99 latency, of memory."""

    latency_p99_us: float | None = None
    memory_bytes: int | None = None

    def text(self) -> str:
        """Say it."""
        limits = []
        if self.latency_p99_us is not None:
            limits.append(f"p99 within {self.latency_p99_us / 1000:g} ms")
        if self.memory_bytes is not None:
            limits.append(f"memory within {self.memory_bytes / 2**20:.0f} MiB")
        return "most throughput" + (f", {' and '.join(limits)}" if limits else "")


@dataclass(frozen=True, slots=True)
class Served:
    """What one turn of a served candidate gave: its knee, or why there is none."""

    best: Point | None
    memory_bytes: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """The turns of a candidate together: their medians, how far they lie apart, and why it is out where it is."""

    throughput: float
    p99_us: float
    p50_us: float
    concurrency: int
    memory_bytes: int
    spread: float
    turns: int
    reason: str = ""


def score(turns: Sequence[Served], objective: Objective) -> Score:
    """Judge a candidate by its turns. One that failed or went over a limit in most of them is out."""
    memory = max((turn.memory_bytes for turn in turns), default=0)
    fit = [turn.best for turn in turns if turn.best is not None]
    if not turns or len(fit) * 2 <= len(turns):
        reason = next((turn.reason for turn in turns if turn.reason), "not measured")
        return Score(0.0, 0.0, 0.0, 0, memory, 0.0, len(turns), reason)
    rates = [point.throughput for point in fit]
    rate = statistics.median(rates)
    over = objective.memory_bytes is not None and memory > objective.memory_bytes
    return Score(
        throughput=rate,
        p99_us=statistics.median(point.p99_us for point in fit),
        p50_us=statistics.median(point.p50_us for point in fit),
        concurrency=round(statistics.median(point.concurrency for point in fit)),
        memory_bytes=memory,
        spread=(max(rates) - min(rates)) / rate if rate else 0.0,
        turns=len(turns),
        reason=_too_much(memory, objective) if over else "",
    )


def _too_much(memory: int, objective: Objective) -> str:
    assert objective.memory_bytes is not None
    return f"takes {memory / 2**20:.0f} MiB of memory, more than {objective.memory_bytes / 2**20:.0f} MiB"


def ranked(scores: Mapping[Candidate, Score]) -> list[Candidate]:
    """Return the candidates that are within the limits, the best first."""
    fit = [candidate for candidate, found in scores.items() if not found.reason]
    return sorted(fit, key=lambda candidate: -scores[candidate].throughput)


def winner(scores: Mapping[Candidate, Score], margin: float = MARGIN) -> Candidate | None:
    """Return the simplest of those that are as good as the best, as far as can be told."""
    order = ranked(scores)
    if not order:
        return None
    most = scores[order[0]].throughput
    near = [candidate for candidate in order if scores[candidate].throughput >= most * (1 - margin)]
    return min(near, key=lambda candidate: (candidate.complexity, -scores[candidate].throughput))


def frontier(scores: Mapping[Candidate, Score]) -> list[Candidate]:
    """Return the candidates than which none is both quicker to answer and able to answer more, by throughput."""
    kept: list[Candidate] = []
    for candidate in ranked(scores):
        if all(scores[candidate].p99_us < scores[other].p99_us for other in kept):
            kept.append(candidate)
    return kept
