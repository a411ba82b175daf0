"""How true a variant has to stay to the original, and whether it does. Decided before any speed counts."""

import math
from dataclasses import dataclass

# Half precisions keep far more than this of a trained model, and eight bits often do: what loses more is asked for.
DEFAULT_COSINE = 0.999
DEFAULT_DROP = 0.005


@dataclass(frozen=True, slots=True)
class Requirement:
    """The least cosine between outputs, or the most that accuracy on labelled data may drop (0.005 is half a point)."""

    min_cosine: float | None = DEFAULT_COSINE
    accuracy_drop: float | None = None

    def text(self) -> str:
        """Say it."""
        if self.accuracy_drop is not None:
            return f"accuracy on labelled data drops by at most {self.accuracy_drop * 100:g} points"
        return f"outputs have a cosine of at least {self.min_cosine:g} with those of the original"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What was found on ``samples`` samples: ``cosine`` is that of the output where it is lowest.

    ``task`` is the share of labels that were met, by the variant and by the original, where there are labels.
    ``faults`` are what no threshold allows: NaN where there was none, missing outputs.
    """

    samples: int
    cosine: float
    max_abs: float | None = None
    top1_agreement: float | None = None
    task: float | None = None
    task_before: float | None = None
    faults: tuple[str, ...] = ()

    @property
    def drop(self) -> float | None:
        """How much of the accuracy is gone; below 0 where it rose."""
        return None if self.task is None or self.task_before is None else self.task_before - self.task


EXACT = Accuracy(0, 1.0)


def objection(found: Accuracy, wanted: Requirement) -> str:
    """Return why a variant is not true enough; nothing when it is."""
    if found.faults:
        return found.faults[0]
    if wanted.accuracy_drop is not None:
        drop = found.drop
        if drop is None:
            return "its accuracy could not be measured: no output has one value for each class"
        if drop > wanted.accuracy_drop + 1e-9:
            return f"accuracy drops by {drop * 100:.2f} points, more than {wanted.accuracy_drop * 100:g}"
        return ""
    if wanted.min_cosine is not None and not found.cosine >= wanted.min_cosine:
        least = wanted.min_cosine
        return f"its cosine with the original is {_below(found.cosine, least)}, less than {least:g}"
    return ""


def _below(value: float, limit: float) -> str:
    """Write a value with as many digits as show that it is below the limit."""
    if math.isnan(value):
        return "undefined"
    for digits in range(3, 12):
        text = f"{value:.{digits}f}"
        if float(text) < limit:
            return text
    return str(value)
