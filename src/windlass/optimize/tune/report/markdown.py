"""The report as Markdown."""

from collections.abc import Sequence

from windlass.optimize.tune.outcome import Outcome
from windlass.optimize.tune.report.commands import commands, own
from windlass.optimize.tune.report.facts import facts, notes, verdict
from windlass.optimize.tune.report.tables import SERVED_COLUMNS, VARIANT_COLUMNS, Row, served_rows, variant_rows
from windlass.optimize.tune.space.configuration import text


def markdown(outcome: Outcome) -> str:
    """Return the text."""
    parts = [f"# Optimising `{outcome.study.text}`", verdict(outcome)]
    parts += [f"> Note: {note}." for note in notes(outcome)]
    parts.append("\n".join(f"* {name}: {value}" for name, value in facts(outcome)))
    parts += ["## What was served", _table(SERVED_COLUMNS, served_rows(outcome))]
    parts += ["## Engines and precisions", _table(VARIANT_COLUMNS, variant_rows(outcome))]
    if outcome.winner is not None:
        parts += ["## The same by hand", _fenced(commands(outcome, outcome.winner), "sh")]
        if outcome.changed:
            parts += ["The configuration of the new version:", _fenced([text(outcome.config).rstrip()], "")]
    parts += ["## Once more", _fenced([own(outcome.study)], "sh")]
    return "\n\n".join(parts) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Row]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in rows:
        name, *rest = (cell.replace("|", "\\|").replace("\n", " ") for cell in row.cells)
        lines.append(f"| {' | '.join([f'**{name}**' if row.best else name, *rest])} |")
    return "\n".join(lines)


def _fenced(lines: Sequence[str], language: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])
