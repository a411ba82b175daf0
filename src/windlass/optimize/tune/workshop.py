"""Makes the files of variants in the work folder, each once, and examines variants; a journal keeps what came of it."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from windlass.config import ModelConfig, parse_text
from windlass.errors import WindlassError
from windlass.optimize.tune.measure.children import ask
from windlass.optimize.tune.measure.jobs import Examination, Making
from windlass.optimize.tune.search.accuracy import Accuracy
from windlass.optimize.tune.search.journal import Journal
from windlass.optimize.tune.search.ladder import MOST, Lap
from windlass.optimize.tune.space import Artefact, Candidate, Layout, Variant, layouts
from windlass.optimize.tune.space.candidate import ORIGINAL
from windlass.optimize.tune.space.configuration import configured, text
from windlass.optimize.tune.study import Study
from windlass.optimize.tune.trials import Examined, Made

# The original's answers may take this part of the budget.
REFERENCE_SHARE = 0.04
LEAST_REFERENCE_S = 1.0
REMAKING_S = 1200.0


class Workshop:
    """Artefacts by their names, as folders; their configurations lie beside them."""

    def __init__(self, study: Study, journal: Journal, spent: Callable[[], float]) -> None:
        self._study = study
        self._journal = journal
        self._spent = spent
        self._folder = study.folder / "artefacts"
        self._folder.mkdir(parents=True, exist_ok=True)

    def folder(self, artefact: Artefact) -> Path:
        """Return where the files of an artefact are."""
        return self._study.entry.versions[self._study.version] if artefact == ORIGINAL else self._folder / artefact.name

    def config(self, artefact: Artefact) -> ModelConfig:
        """Return the complete configuration of an artefact that was made."""
        if artefact == ORIGINAL:
            return self._study.config
        file = self._config_file(artefact)
        return parse_text(file.read_text(encoding="utf-8"), str(file))

    def configuration(self, candidate: Candidate) -> ModelConfig:
        """Return what a candidate is served by; the original as configured keeps what its user wrote."""
        if candidate == self._study.baseline:
            return self._study.written
        return configured(self.config(candidate.variant.artefact), candidate)

    def _config_file(self, artefact: Artefact) -> Path:
        return self._folder / f"{artefact.name}.pbtxt"

    def make(self, artefact: Artefact, timeout_s: float) -> Made:
        """Return what came of making an artefact, now or before. Raises ``TimeoutError``, which is not noted."""
        if artefact == ORIGINAL:
            return Made(_size(self.folder(artefact)))
        until = time.monotonic() + timeout_s
        parent = self.make(artefact.parent, timeout_s)
        if parent.reason:
            return parent
        trial = f"make {artefact.name}"
        if trial in self._journal and (self._journal.result(trial)["reason"] or self.folder(artefact).is_dir()):
            return Made(**self._journal.result(trial))
        made = self._make(artefact, until - time.monotonic())
        self._journal.add(trial, made.plain(), self._spent())
        return made

    def remade(self, artefact: Artefact) -> Made:
        """Return what came of an artefact that was made before; it is made again where a run that ended removed it."""
        return self.make(artefact, REMAKING_S)

    def _make(self, artefact: Artefact, timeout_s: float) -> Made:
        if timeout_s <= 0:
            raise TimeoutError
        begun, folder = time.monotonic(), self.folder(artefact)
        parent_config = self._folder / f"{artefact.parent.name}.pbtxt"
        parent_config.write_text(text(self.config(artefact.parent)), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        study = self._study
        job = Making(
            name=study.name,
            model=study.entry.path,
            parent=self.folder(artefact.parent),
            parent_config=parent_config,
            folder=folder,
            config=self._config_file(artefact),
            step=artefact.steps[-1],
            questions=study.questions,
        )
        try:
            for _ in ask(job.as_dict(), timeout_s):
                continue
        except WindlassError as error:
            return Made(took_s=time.monotonic() - begun, reason=error.message, hint=error.hint or "")
        return Made(_size(folder), time.monotonic() - begun)

    def known(self, variant: Variant) -> Examined | None:
        """Return what came of a variant that was examined before; its artefact need not be there any more."""
        trial = _examining(variant)
        return Examined.of(variant, self._journal.result(trial)) if trial in self._journal else None

    def examine(self, variant: Variant, seconds: float, timeout_s: float) -> Examined:
        """Return what comes of examining a variant whose artefact is there.

        Raises ``TimeoutError`` where not even its accuracy is known by then, which is not noted.
        """
        found = self._examine(variant, seconds, timeout_s)
        self._journal.add(_examining(variant), found.plain(), self._spent())
        return found

    def _examine(self, variant: Variant, seconds: float, timeout_s: float) -> Examined:
        if timeout_s <= 0:
            raise TimeoutError
        begun = time.monotonic()
        told = _Told()
        reason = ""
        try:
            for message in ask(self._examination(variant, seconds).as_dict(), timeout_s):
                told.hear(message)
        except TimeoutError:
            if not told.laps:
                raise
        except WindlassError as error:
            reason = error.message
            if variant.artefact == ORIGINAL and variant == self._study.baseline.variant:
                raise
        laps = {layout: tuple(found) for layout, found in told.laps.items()}
        return Examined(variant, told.accuracy, laps, reason or told.objection, time.monotonic() - begun)

    def _examination(self, variant: Variant, seconds: float) -> Examination:
        study = self._study
        limit = study.objective.latency_p99_us
        config = self._config_file(variant.artefact)
        config.write_text(text(self.config(variant.artefact)), encoding="utf-8")
        return Examination(
            name=study.name,
            model=study.entry.path,
            folder=self.folder(variant.artefact),
            config=config,
            variant=variant,
            layouts=layouts(study.machine, variant.device),
            questions=study.questions,
            requirement=study.requirement,
            reference=study.folder / "answers.npz",
            reference_s=max(study.budget_s * REFERENCE_SHARE, LEAST_REFERENCE_S),
            most=max(MOST // 2, study.config.max_batch_size) if study.batchable else 0,
            limit_s=None if limit is None else limit / 1e6,
            seconds=seconds,
        )


class _Told:
    """What an examination said so far."""

    def __init__(self) -> None:
        self.accuracy: Accuracy | None = None
        self.objection = ""
        self.laps: dict[Layout, list[Lap]] = {}

    def hear(self, message: dict[str, Any]) -> None:
        if "accuracy" in message:
            told = message["accuracy"]
            self.accuracy = Accuracy(**{**told, "faults": tuple(told["faults"])})
            self.objection = message["objection"]
        if "lap" in message:
            self.laps.setdefault(Layout(*message["layout"]), []).append(Lap(*message["lap"]))


def _examining(variant: Variant) -> str:
    return f"examine {variant.name}"


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
