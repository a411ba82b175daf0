"""How much time there is. The clock is passed in; what an interrupted run spent counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

Clock = Callable[[], float]

# What is begun is brought to its end: so much of the time is kept for that.
KEPT = 0.02


@dataclass(frozen=True, slots=True)
class Budget:
    """``total_s`` seconds from the first start, of which earlier runs have spent some."""

    total_s: float
    clock: Clock
    begun: float
    before_s: float = 0.0

    @classmethod
    def begin(cls, total_s: float, clock: Clock, before_s: float = 0.0) -> Self:
        """Start the clock."""
        return cls(total_s, clock, clock(), before_s)

    @property
    def spent_s(self) -> float:
        """All that was spent, earlier runs among it."""
        return self.before_s + self.clock() - self.begun

    @property
    def left_s(self) -> float:
        """What is left to begin something in; 0 when it is over."""
        return max(0.0, self.total_s * (1 - KEPT) - self.spent_s)

    def left_until(self, share: float) -> float:
        """Return what is left of the first part of the whole."""
        return max(0.0, self.total_s * share - self.spent_s)
