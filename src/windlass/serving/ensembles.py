"""Which models are made of which others: checks ensembles against the models of their steps, as they are in service.

Holds knowledge only; the loader acts on it.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping

from windlass.config import ModelConfig
from windlass.config.ensemble import Step, is_decoupled, is_ensemble, mismatches, step_models
from windlass.errors import ModelLoadError
from windlass.repository import ModelEntry


class Ensembles:
    """What is in service, and which ensembles want to be. Methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._configs: defaultdict[str, dict[int, ModelConfig]] = defaultdict(dict)
        self._known: dict[str, ModelEntry] = {}
        self._wanted: set[str] = set()
        self._reasons: dict[str, str] = {}

    def know(self, entry: ModelEntry) -> None:
        """Take note of what a model is made of. Of one that is no ensemble nothing is kept."""
        with self._lock:
            if _steps(entry):
                self._known[entry.name] = entry
            else:
                self._known.pop(entry.name, None)

    def want(self, entry: ModelEntry) -> None:
        """Take note of what somebody asked for: an ensemble is in service whenever its steps are."""
        self.know(entry)
        with self._lock:
            self._reasons.pop(entry.name, None)
            if entry.name in self._known:
                self._wanted.add(entry.name)
            else:
                self._wanted.discard(entry.name)

    def dismiss(self, name: str) -> None:
        """Take note that nobody asks for a model any more."""
        with self._lock:
            self._wanted.discard(name)

    def enter(self, config: ModelConfig, version: int) -> None:
        """A version is in service."""
        with self._lock:
            self._configs[config.name][version] = config

    def leave(self, name: str, version: int | None = None) -> None:
        """A version is out of service, or about to be; without one, every version is."""
        with self._lock:
            if version is None:
                self._configs.pop(name, None)
            else:
                self._configs[name].pop(version, None)

    def failed(self, name: str, reason: str) -> None:
        """Keep why a model did not load, to tell it with the ensembles that need it."""
        with self._lock:
            self._reasons[name] = reason

    def above(self, name: str) -> list[str]:
        """Return the ensembles in service that a model is a step of."""
        with self._lock:
            return [
                above
                for above, versions in self._configs.items()
                if any(is_ensemble(config) and name in step_models(config) for config in versions.values())
            ]

    def waiting_for(self, name: str) -> list[ModelEntry]:
        """Return the ensembles somebody asked for that a model is a step of, when all their steps are in service."""
        with self._lock:
            wanted = [(self._known[ensemble], _steps(self._known[ensemble])) for ensemble in sorted(self._wanted)]
            return [
                entry
                for entry, steps in wanted
                if name in steps
                and all(self._configs.get(step) for step in steps)
                and entry.config
                and not self._circle(entry.config)
            ]

    def misfits(self, name: str) -> list[str]:
        """Return the ensembles in service that a model is a step of, and that no longer fit their steps' models."""
        above = self.above(name)
        with self._lock:
            return [one for one in above if any(self._fault(config) for config in self._configs[one].values())]

    def below(self, name: str) -> list[str]:
        """Return the models that an ensemble in service is made of."""
        with self._lock:
            configs = self._configs.get(name, {}).values()
            return [step for config in configs if is_ensemble(config) for step in step_models(config)]

    def assemble(self, config: ModelConfig) -> ModelConfig:
        """Return the configuration of an ensemble with what follows from its steps.

        Raises ``ModelLoadError`` when a step's model is not there or does not fit.
        """
        with self._lock:
            if fault := self._circle(config) or self._fault(config):
                raise ModelLoadError(fault)
            full = ModelConfig()
            full.CopyFrom(config)
            full.model_transaction_policy.decoupled = is_decoupled(config, self._model_of)
            return full

    def signature(self, config: ModelConfig) -> bytes:
        """Return what of the steps' models matters to an ensemble: it is loaded again when that changed."""
        with self._lock:
            models = [self._configs.get(name, {}) for name in step_models(config)]
        parts = [
            ModelConfig(
                max_batch_size=model.max_batch_size,
                input=model.input,
                output=model.output,
                model_transaction_policy=model.model_transaction_policy,
            ).SerializeToString(deterministic=True)
            for versions in models
            for _, model in sorted(versions.items())
        ]
        return b"\0".join(parts)

    def _fault(self, config: ModelConfig) -> str:
        name, steps = config.name, config.ensemble_scheduling.step
        absent = [step for step in step_models(config) if not self._configs.get(step)]
        if unknown := [step for step in absent if step not in self._reasons]:
            return f"ensemble {name} contains models that are not available or ambiguous: {', '.join(unknown)}"
        if absent:
            reason = f"Model '{absent[0]}' loading failed with error: {self._reasons[absent[0]]}"
            return f"ensemble '{name}' depends on '{absent[0]}' which has no loaded version. {reason}"
        for step in steps:
            if step.model_version >= 0 and step.model_version not in self._configs[step.model_name]:
                version = step.model_version
                return (
                    f"ensemble '{name}' depends on '{step.model_name}' whose required version {version} is not loaded."
                )
        return next(mismatches(config, self._model_of), "")

    def _model_of(self, step: Step) -> ModelConfig:
        versions = self._configs[step.model_name]
        return versions[step.model_version if step.model_version >= 0 else max(versions)]

    def _circle(self, config: ModelConfig) -> str:
        """Walk down the steps of ensembles; tell when that leads back to where it began."""
        name, seen = config.name, set[str]()
        open_ = [(config.name, step) for step in step_models(config)]
        while open_:
            last, step = open_.pop()
            if step == name:
                return f"circular dependency between ensembles: {name} -> ... -> {last} -> {name}"
            if step not in seen and step in self._known:
                open_ += [(step, below) for below in _steps(self._known[step])]
            seen.add(step)
        return ""


def _steps(entry: ModelEntry) -> list[str]:
    return step_models(entry.config) if entry.config else []


def with_steps(names: Iterable[str], models: Mapping[str, ModelEntry]) -> list[str]:
    """Return the names and, before them, those of the models that they are made of, as far as these are there."""
    found: dict[str, None] = {}
    for name in names:
        below = [step for step in _steps(models[name]) if step in models and step not in found and step != name]
        if name not in found:
            rest = {other: entry for other, entry in models.items() if other != name}
            found.update(dict.fromkeys(with_steps(below, rest)))
            found[name] = None
    return list(found)


def ranked(entries: Iterable[ModelEntry]) -> list[list[ModelEntry]]:
    """Sort models into ranks to be loaded one after the other: no step of an ensemble is in a later rank than it is."""
    left, ranks = {entry.name: entry for entry in entries}, []
    while left:
        rank = [entry for entry in left.values() if not any(step in left for step in _steps(entry))]
        # What is left in a circle fails, and says so.
        rank = rank or list(left.values())
        ranks.append(rank)
        for entry in rank:
            del left[entry.name]
    return ranks
