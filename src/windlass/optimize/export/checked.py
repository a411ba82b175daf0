"""What came of an export: values only."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from windlass.config import ModelConfig
from windlass.errors import DifferenceError
from windlass.optimize.export.difference import OutputCheck
from windlass.optimize.export.probes import Size
from windlass.optimize.export.verify import Refusal
from windlass.samples import Samples

# Reads what a person has for a model of that configuration.
Given = Callable[[ModelConfig], Samples]


@dataclass(frozen=True, slots=True)
class Wishes:
    """How an export is checked.

    ``given`` reads inputs, which are generated else; ``tolerance`` stands in for that of every type of output.
    """

    given: Given | None = None
    tolerance: float | None = None
    allow_constant: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """A version in another format. ``version`` is 0 where it was only tried.

    ``asked`` and ``refused`` are the sizes at which the two were compared, and those that the original does not take;
    ``constant`` are outputs that were the same for all inputs, of which nothing is shown.
    """

    to: str
    version: int
    config: ModelConfig
    inputs: str
    size_bytes: int
    checks: tuple[OutputCheck, ...]
    asked: tuple[Size, ...]
    refused: tuple[Refusal, ...]
    constant: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Tell whether every output is as the original's."""
        return all(check.passes for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Return it for machines."""
        shown = {name: value for name, value in asdict(self).items() if name != "config"}
        shown["checks"] = [{**asdict(check), "passes": check.passes} for check in self.checks]
        for check in shown["checks"]:
            # JSON has no infinity.
            check["max_abs"] = check["max_abs"] if isfinite(check["max_abs"]) else "inf"
        return {**shown, "backend": self.config.backend, "passes": self.passes}


class Different(DifferenceError):
    """The export answers otherwise; ``exported`` says how."""

    def __init__(self, exported: Exported) -> None:
        worst = next(check for check in exported.checks if not check.passes)
        super().__init__(
            f"output `{worst.output}` of the export is up to {worst.max_abs:.3g} away from the original's",
            where=worst.worst,
            found=f"{worst.limit:.3g} is allowed, since its largest value is {worst.scale:.3g}",
            hint="nothing was written; where that is near enough, say so with `--tolerance`",
        )
        self.exported = exported
