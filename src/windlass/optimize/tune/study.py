"""What is to be found out, fixed before anything is tried."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import windlass
from windlass.config import ModelConfig
from windlass.optimize.tune.measure.questions import Questions
from windlass.optimize.tune.search.accuracy import Requirement
from windlass.optimize.tune.search.objective import Objective
from windlass.optimize.tune.space import Candidate, Machine, Subject, Variant
from windlass.optimize.tune.space.candidate import ORIGINAL
from windlass.repository import ModelEntry
from windlass.repository.digest import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A version of a model, the machine, and what is asked. ``config`` is complete; ``folder`` is where to work."""

    entry: ModelEntry
    version: int
    config: ModelConfig
    machine: Machine
    objective: Objective
    requirement: Requirement
    questions: Questions
    budget_s: float
    folder: Path

    @property
    def name(self) -> str:
        """The model's name."""
        return self.entry.name

    @property
    def text(self) -> str:
        """How a person names the version."""
        return f"{self.entry.name}:{self.version}"

    @property
    def seed(self) -> int:
        """What decides the order of turns, and generated samples."""
        return self.questions.seed

    @property
    def subject(self) -> Subject:
        """What of the model bounds the space."""
        return Subject(self.config.backend, self.config.max_batch_size)

    @property
    def batchable(self) -> bool:
        """Whether requests can share a batch."""
        stateful = self.config.WhichOneof("scheduling_choice") == "sequence_batching"
        return self.config.max_batch_size > 0 and not stateful

    @property
    def baseline(self) -> Candidate:
        """What is served now."""
        return Candidate(Variant(self.config.backend, ORIGINAL))

    @property
    def written(self) -> ModelConfig:
        """The configuration as its user wrote it, but for the versions that it serves."""
        config = ModelConfig()
        config.CopyFrom(self.entry.config_of(self.version) or ModelConfig())
        config.ClearField("version_policy")
        return config


def identity(
    entry: ModelEntry,
    version: int,
    machine: Machine,
    objective: Objective,
    requirement: Requirement,
    questions: Questions,
) -> dict[str, Any]:
    """Return all that results depend on. Where it is the same a run continues; the budget is no part of it."""
    config = ModelConfig()
    config.CopyFrom(entry.config_of(version) or config)
    # Which versions are served does not change what is found.
    config.ClearField("version_policy")
    return {
        "windlass": windlass.__version__,
        "model": entry.name,
        "version": version,
        "files": digest(entry.versions[version]),
        "config": hashlib.sha256(config.SerializeToString(deterministic=True)).hexdigest(),
        "data": _data(questions.data),
        "seed": questions.seed,
        "objective": objective.text(),
        "requirement": requirement.text(),
        "machine": machine.text(),
        "engines": dict(sorted({**machine.engines, **machine.tools}.items())),
    }


def key(about: dict[str, Any]) -> str:
    """Return a short name for an identity."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]


def _data(data: str | None) -> str:
    """Name data by content where it is a file, and by names, sizes and times where it is a folder of many."""
    if data is None:
        return "generated"
    path = Path(data)
    if path.is_file():
        with path.open("rb") as opened:
            return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
    total = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        about = file.stat()
        total.update(f"{file.relative_to(path)} {about.st_size} {about.st_mtime_ns}\n".encode())
    return f"folder:{total.hexdigest()}"
