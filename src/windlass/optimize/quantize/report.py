"""What came of a quantisation: values only."""

from dataclasses import asdict, dataclass
from typing import Any

from windlass.errors import DifferenceError
from windlass.optimize.compare.comparison import Comparison
from windlass.optimize.quantize.speed import Speed


@dataclass(frozen=True, slots=True)
class Floor:
    """How near is near enough. Where the right answers are known, ``accuracy_drop`` decides, and ``cosine`` else."""

    cosine: float = 0.99
    accuracy_drop: float = 0.01


@dataclass(frozen=True, slots=True)
class Quantised:
    """A version with fewer bits beside the one it was made from; sizes are of the files, in bytes.

    ``speeds`` are of requests with ``batch`` samples. ``faults`` say why it is no stand-in; a person may want it all
    the same, which is ``forced``.
    """

    source: str
    to: str
    method: str
    version: int
    sizes: tuple[int, int]
    batch: int
    speeds: tuple[Speed, Speed]
    comparison: Comparison
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    forced: bool = False

    @property
    def text(self) -> str:
        """How a person names the new version."""
        return f"{self.source.partition(':')[0]}:{self.version}"

    @property
    def accuracies(self) -> tuple[float, float] | None:
        """How often each is right, where that is known."""
        score = self.comparison.score
        return None if score is None or score.a is None or score.b is None else (score.a, score.b)

    def as_dict(self) -> dict[str, Any]:
        """Return it for machines."""
        before, after = self.speeds
        compared = self.comparison.to_json()
        return {
            "source": self.source,
            "to": self.to,
            "method": self.method,
            "version": self.version,
            "size_bytes": {"before": self.sizes[0], "after": self.sizes[1]},
            "samples_per_second": {"batch": self.batch, "before": asdict(before), "after": asdict(after)},
            "samples": compared["samples"],
            "inputs": compared["source"],
            "outputs": compared["outputs"],
            "accuracy": dict(zip(("before", "after"), self.accuracies, strict=True)) if self.accuracies else None,
            "notes": [*self.notes, *compared["notes"]],
            "faults": list(self.faults),
            "passes": not self.faults,
            "forced": self.forced,
        }


class Unusable(DifferenceError):
    """The version with fewer bits answers otherwise than the one it was made from; ``quantised`` says how."""

    def __init__(self, quantised: Quantised) -> None:
        others = len(quantised.faults) - 1
        super().__init__(
            f"`{quantised.source}` in {quantised.to} is no stand-in: {quantised.faults[0]}",
            found=f"{others} more" if others else None,
            hint="nothing was written; give more like real inputs with `--calibration`, choose another precision, "
            "or keep it as it is with `--force`",
        )
        self.quantised = quantised
