"""The report for machines."""

from typing import Any

from windlass.optimize.tune.outcome import Outcome
from windlass.optimize.tune.report.commands import commands, own
from windlass.optimize.tune.report.facts import facts, notes, verdict
from windlass.optimize.tune.search.objective import Score, frontier
from windlass.optimize.tune.space import Candidate
from windlass.optimize.tune.space.configuration import text


def document(outcome: Outcome) -> dict[str, Any]:
    """Return plain values; times are in microseconds, sizes in bytes."""
    won = outcome.winner
    return {
        "model": outcome.study.name,
        "version": outcome.study.version,
        "verdict": verdict(outcome),
        "notes": notes(outcome),
        "facts": dict(facts(outcome)),
        "winner": None if won is None else won.name,
        "changed": outcome.changed,
        "written_version": outcome.written,
        "gain": outcome.gain,
        "config": text(outcome.config) if outcome.changed else None,
        "commands": [] if won is None else commands(outcome, won),
        "command": own(outcome.study),
        "frontier": [candidate.name for candidate in frontier(outcome.scores)],
        "served": [_served(candidate, score, outcome) for candidate, score in outcome.scores.items()],
        "variants": [{"name": found.variant.name, **found.plain()} for found in outcome.examined.values()],
        "left_out": [{"name": entry.name, "reason": entry.reason} for entry in outcome.unfit],
        "spent_s": outcome.spent_s,
    }


def _served(candidate: Candidate, score: Score, outcome: Outcome) -> dict[str, Any]:
    figures = {name: getattr(score, name) for name in Score.__dataclass_fields__}
    return {"name": candidate.name, "rung": outcome.rungs.get(candidate), **figures}
