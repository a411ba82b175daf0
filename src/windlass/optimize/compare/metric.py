"""What one number is asked of a comparison, and whether it is good enough. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from windlass.errors import UsageError
from windlass.optimize.compare.differences import Differences
from windlass.samples.samples import Array

# The figures of the outputs that can be asked for by themselves, and whether more is better.
FIGURES = {"cosine": True, "lowest-cosine": True, "max-abs": False, "top1-agreement": True}
NAMES = ("accuracy", *FIGURES)


@dataclass(frozen=True, slots=True)
class Score:
    """One number; ``at_least`` where more is better. ``a`` and ``b`` are those of each side, where it is of both."""

    name: str
    value: float
    at_least: bool
    output: str = ""
    a: float | None = None
    b: float | None = None
    notes: tuple[str, ...] = ()

    def within(self, threshold: float) -> bool:
        """Tell whether it is good enough."""
        return self.value >= threshold if self.at_least else self.value <= threshold


@dataclass(frozen=True, slots=True)
class Answered:
    """What is known when both sides have answered; ``labels`` are the right answers, where there are any."""

    differences: Differences
    labels: Array | None = None


class Metric(Protocol):
    """Sees the outputs of both sides, under the names they have in A, batch by batch; sums them up in the end."""

    def add(self, a: Mapping[str, Array], b: Mapping[str, Array]) -> None:
        """Look at the next samples."""

    def score(self, answered: Answered) -> Score:
        """Return the number. Raises ``UsageError`` where it is not defined."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that every comparison has: the worst of all outputs counts."""

    name: str

    def add(self, a: Mapping[str, Array], b: Mapping[str, Array]) -> None:
        """Nothing is missing from the differences."""

    def score(self, answered: Answered) -> Score:
        """Return the figure of the output where it is worst."""
        differences, attribute = answered.differences, self.name.replace("-", "_")
        known = {
            name: value
            for name, output in differences.outputs.items()
            if (value := getattr(output, attribute)) is not None
        }
        if not known:
            raise UsageError(
                f"`{self.name}` is not defined for any output",
                found="; ".join(self._reasons(differences)),
                hint="ask for another with `--metric`: `max-abs` for numbers, FILE.py:FUNCTION for anything",
            )
        worst = (min if FIGURES[self.name] else max)(known, key=lambda name: known[name])
        left = [name for name in differences.outputs if name not in known]
        notes = (f"not judged, having no {self.name}: {', '.join(f'`{name}`' for name in left)}",) if left else ()
        return Score(self.name, known[worst], FIGURES[self.name], worst, notes=notes)

    def _reasons(self, differences: Differences) -> list[str]:
        reasons = [note for output in differences.outputs.values() for note in output.notes]
        if self.name == "top1-agreement":
            reasons += [f"output `{name}` has not one number for each class" for name in differences.outputs]
        return reasons or list(differences.faults) or ["no output that both have"]


def threshold(text: str, name: str) -> float:
    """Read how good a metric has to be: ``0.995`` or ``99.5%``. Raises ``UsageError``."""
    try:
        # As decimals: what is 0.7 % of a thousand samples is not to miss 0.7 % by a trace.
        value = float(Decimal(text[:-1]).scaleb(-2) if text.endswith("%") else Decimal(text))
    except ArithmeticError:
        value = float("nan")
    if value != value:
        raise UsageError(f"threshold `{text}`: expected a number", hint="write `0.995` or `99.5%`")
    if name in NAMES and name != "max-abs" and not -1 <= value <= 1:
        raise UsageError(f"threshold `{text}`: `{name}` is at most 1", hint=f"is `{text}%` meant?")
    return value
