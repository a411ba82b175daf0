"""What a run found: everything the report tells, and what is written beside the old version."""

from collections.abc import Mapping
from dataclasses import dataclass

from windlass.config import ModelConfig
from windlass.optimize.tune.search.objective import Score
from windlass.optimize.tune.space import Candidate, Unfit, Variant
from windlass.optimize.tune.study import Study
from windlass.optimize.tune.trials import Examined


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``winner`` is the original as configured where nothing is better; ``why`` says what decided.

    ``rungs`` name the rung in which each candidate was measured last; ``config`` is the winner's configuration, and
    ``written`` the version that it was written as.
    """

    study: Study
    examined: Mapping[Variant, Examined]
    unfit: tuple[Unfit, ...]
    scores: Mapping[Candidate, Score]
    rungs: Mapping[Candidate, str]
    winner: Candidate | None
    why: str
    spent_s: float
    config: ModelConfig
    written: int | None = None

    @property
    def baseline(self) -> Score | None:
        """How the original as configured did."""
        return self.scores.get(self.study.baseline)

    @property
    def gain(self) -> float | None:
        """How many times the throughput of the original the winner has; within the limits of the winner."""
        before, after = self.baseline, self.scores.get(self.winner) if self.winner else None
        if before is None or after is None or before.reason or not before.throughput:
            return None
        return after.throughput / before.throughput

    @property
    def changed(self) -> bool:
        """Whether there is something to write."""
        return self.winner is not None and self.winner != self.study.baseline
