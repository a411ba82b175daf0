"""What a process of its own is told to do: values that travel as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from windlass.optimize.tune.measure.questions import Questions
from windlass.optimize.tune.search.accuracy import Requirement
from windlass.optimize.tune.space import Artefact, Layout, Step, Variant


@dataclass(frozen=True, slots=True)
class Making:
    """Make an artefact of its parent: its files in ``folder``, its configuration in ``config``."""

    name: str
    model: Path
    parent: Path
    parent_config: Path
    folder: Path
    config: Path
    step: Step
    questions: Questions

    def as_dict(self) -> dict[str, Any]:
        """Return the job."""
        return {"kind": "make", **_plain(asdict(self))}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Read the job back."""
        return cls(
            values["name"],
            Path(values["model"]),
            Path(values["parent"]),
            Path(values["parent_config"]),
            Path(values["folder"]),
            Path(values["config"]),
            Step(**values["step"]),
            Questions.of(values["questions"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Look at a variant, whose artefact lies in ``folder``: accuracy, then the loop with each of the layouts.

    ``reference`` has the original's answers, or gets them, in some ``reference_s``. ``most`` is the largest batch, 0
    without any; ``limit_s`` how long one may take. After ``seconds`` nothing more is begun.
    """

    name: str
    model: Path
    folder: Path
    config: Path
    variant: Variant
    layouts: tuple[Layout, ...]
    questions: Questions
    requirement: Requirement
    reference: Path
    reference_s: float
    most: int
    limit_s: float | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the job."""
        return {"kind": "examine", **_plain(asdict(self))}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Read the job back."""
        given = {name: values[name] for name in cls.__dataclass_fields__}
        for name in ("model", "folder", "config", "reference"):
            given[name] = Path(given[name])
        variant = given["variant"]
        steps = tuple(Step(**step) for step in variant["artefact"]["steps"])
        given["variant"] = Variant(variant["engine"], Artefact(steps), variant["compute"], variant["device"])
        given["layouts"] = tuple(Layout(**layout) for layout in given["layouts"])
        given["questions"] = Questions.of(given["questions"])
        given["requirement"] = Requirement(**given["requirement"])
        return cls(**given)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return value
