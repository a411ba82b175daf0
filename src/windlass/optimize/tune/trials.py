"""What came of what was tried: values that the journal keeps and the report tells."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from windlass.optimize.tune.search.accuracy import EXACT, Accuracy
from windlass.optimize.tune.search.knee import Point
from windlass.optimize.tune.search.ladder import Lap
from windlass.optimize.tune.search.objective import Served
from windlass.optimize.tune.space import Candidate, Layout, Variant


@dataclass(frozen=True, slots=True)
class Made:
    """An artefact: what there is of it, or why there is none."""

    size_bytes: int = 0
    took_s: float = 0.0
    reason: str = ""
    hint: str = ""

    def plain(self) -> dict[str, Any]:
        """Return it for the journal."""
        return {name: getattr(self, name) for name in Made.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Examined:
    """A variant: how accurate it is, how fast its engine is in a loop by layout, or why it is out."""

    variant: Variant
    accuracy: Accuracy | None = None
    laps: Mapping[Layout, tuple[Lap, ...]] = field(default_factory=dict)
    reason: str = ""
    took_s: float = 0.0

    def plain(self) -> dict[str, Any]:
        """Return it for the journal."""
        accuracy = self.accuracy and {name: getattr(self.accuracy, name) for name in Accuracy.__dataclass_fields__}
        laps = [
            [layout.instances, layout.threads, [[lap.size, lap.rate, lap.pass_s] for lap in found]]
            for layout, found in self.laps.items()
        ]
        return {"accuracy": accuracy, "laps": laps, "reason": self.reason, "took_s": self.took_s}

    @classmethod
    def of(cls, variant: Variant, plain: Mapping[str, Any]) -> Self:
        """Read it back."""
        accuracy = plain["accuracy"] and Accuracy(**{**plain["accuracy"], "faults": tuple(plain["accuracy"]["faults"])})
        laps = {Layout(count, threads): tuple(Lap(*lap) for lap in found) for count, threads, found in plain["laps"]}
        return cls(variant, accuracy, laps, plain["reason"], plain["took_s"])

    @property
    def best(self) -> tuple[Layout, Lap] | None:
        """The layout and batch size that were fastest in a loop."""
        found = [(layout, lap) for layout, laps in self.laps.items() for lap in laps]
        return max(found, key=lambda pair: pair[1].rate, default=None)


@dataclass(frozen=True, slots=True)
class TurnTaken:
    """A turn of a candidate in a rung: its points, and what they come to."""

    candidate: Candidate
    points: tuple[Point, ...]
    served: Served

    def plain(self) -> dict[str, Any]:
        """Return it for the journal."""
        return {
            "points": [_point(point) for point in self.points],
            "best": self.served.best and _point(self.served.best),
            "memory_bytes": self.served.memory_bytes,
            "reason": self.served.reason,
        }

    @classmethod
    def of(cls, candidate: Candidate, plain: Mapping[str, Any]) -> Self:
        """Read it back."""
        best = plain["best"] and Point(*plain["best"])
        served = Served(best, plain["memory_bytes"], plain["reason"])
        return cls(candidate, tuple(Point(*point) for point in plain["points"]), served)


def _point(point: Point) -> list[float]:
    return [point.concurrency, point.throughput, point.p50_us, point.p99_us, point.failed]


def original(variant: Variant) -> Examined:
    """Return what is known of the original where no engine of ours can run it in a loop."""
    return Examined(variant, EXACT)
