"""What came of a comparison, and how it is told to machines. Pure."""

import math
from dataclasses import dataclass
from typing import Any

from windlass.optimize.compare.differences import Differences, OutputDifference, Worst
from windlass.optimize.compare.metric import Score
from windlass.samples import Samples


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions on the same samples; ``score`` is the metric's that was asked for."""

    a: str
    b: str
    samples: Samples
    differences: Differences
    score: Score | None
    asking: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Everything that should be known of how things were compared."""
        of_outputs = (note for output in self.differences.outputs.values() for note in output.notes)
        return (*self.asking, *self.differences.notes, *of_outputs, *(self.score.notes if self.score else ()))

    @property
    def faults(self) -> tuple[str, ...]:
        """What makes B no stand-in for A, however close the rest is."""
        return self.differences.faults

    def passes(self, threshold: float | None = None) -> bool:
        """Tell whether B is near enough: without faults, and within the threshold where there is one."""
        near = threshold is None or self.score is None or self.score.within(threshold)
        return near and not self.faults

    def to_json(self, threshold: float | None = None) -> dict[str, Any]:
        """Return all of it for machines: what is undefined is null, infinity is a word."""
        return {
            "a": self.a,
            "b": self.b,
            "samples": len(self.samples),
            "source": self.samples.source,
            "outputs": [self._output(output) for output in self.differences.outputs.values()],
            "metric": self._metric(threshold) if self.score else None,
            "notes": list(self.notes),
            "faults": list(self.faults),
            "within": self.passes(threshold),
        }

    def _output(self, output: OutputDifference) -> dict[str, Any]:
        figures = ("unequal", "max_abs", "mean_abs", "relative", "cosine", "lowest_cosine", "top1_agreement")
        return {
            "name": output.name,
            **{figure: _plain(getattr(output, figure)) for figure in figures},
            "worst": [self._worst(worst) for worst in output.worst],
        }

    def _worst(self, worst: Worst) -> dict[str, Any]:
        return {
            "sample": worst.sample,
            "source": self.samples.origin(worst.sample),
            "place": list(worst.place),
            "a": _plain(worst.a),
            "b": _plain(worst.b),
            "difference": _plain(worst.difference),
            "cosine": _plain(worst.cosine),
            "top1": list(worst.top1) if worst.top1 else None,
        }

    def _metric(self, threshold: float | None) -> dict[str, Any]:
        assert self.score
        return {
            "name": self.score.name,
            "output": self.score.output or None,
            "value": _plain(self.score.value),
            "a": _plain(self.score.a),
            "b": _plain(self.score.b),
            "threshold": threshold,
            "better": "more" if self.score.at_least else "less",
        }


def _plain(value: Any) -> Any:
    """Return what JSON has a word for."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
