"""How one release takes the place of another."""

from typing import Literal, Self

from pydantic import Field, model_validator

from windlass.config.project.part import Part
from windlass.config.project.quantities import Duration, Percent


class Verdict(Part):
    """What a canary must keep to be promoted."""

    error_rate: float = Field(default=0.01, ge=0, lt=1)
    """A share of requests that may fail."""
    p99: Duration | None = None
    """A latency that 99 of 100 requests stay under."""
    p99_ratio: float = Field(default=1.5, gt=0)
    """How much slower than the stable release it may be, by p99."""


class Rollout(Part):
    """How one release takes the place of another."""

    strategy: Literal["rolling", "canary", "blue-green"] = "rolling"
    """Replica by replica, with a growing share of the traffic, or all at once when the new one is ready."""
    steps: tuple[Percent, ...] = (5, 25, 50)
    """The canary's shares of the traffic before it gets all, in percent."""
    interval: Duration = 300.0
    """How long each step is watched."""
    verdict: Verdict = Verdict()
    """What the canary must keep."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if list(self.steps) != sorted(set(self.steps)):
            raise ValueError(f"expected rising percentages in `steps`, got {list(self.steps)}")
        return self
