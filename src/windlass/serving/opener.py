"""Opens a version: from a folder to instances that have warmed up, and that nobody is served by yet."""

import logging
import os
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import windlass
from windlass._plane import Plane, Version
from windlass.backends import LoadContext, Process, find
from windlass.backends.compiled import CompiledCache
from windlass.backends.cores import kept_to
from windlass.backends.threads import Threads
from windlass.config import ModelConfig, config_json, normalise, validate
from windlass.config.ensemble import is_ensemble
from windlass.config.model import backend_name
from windlass.errors import ModelLoadError
from windlass.repository import ModelEntry, labels, tensor_files
from windlass.repository.layout import model_file
from windlass.serving.ensembles import Ensembles
from windlass.serving.hosts import cores_of, shared_cores

log = logging.getLogger("windlass")


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """How models are loaded."""

    backends: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    complete: bool = True
    threads: int = 4
    retries: int = 0
    drain_timeout_s: float = 30.0
    policies: Mapping[str, Collection[int]] = field(default_factory=dict)
    compiled: CompiledCache | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A version that is ready to be put into service, and where each of its instances executes."""

    version: int
    config: ModelConfig
    prepared: Version
    kinds: tuple[str, ...]
    took_s: float
    # Where its backend tells: how many threads compute, and of how many cores.
    threads: Threads | None = None


class Opener:
    """Opens versions, as often as it is told to try."""

    def __init__(self, plane: Plane, settings: LoadSettings, ensembles: Ensembles) -> None:
        self._plane = plane
        self._settings = settings
        self._ensembles = ensembles

    def open(self, entry: ModelEntry, version: int) -> Opened:
        """Open one version of a model; raises whatever goes wrong at the last try."""
        for left in range(self._settings.retries, 0, -1):
            try:
                return self._open(entry, version)
            except Exception as error:
                log.warning(
                    "model `%s` version %s failed to load, %s more to try: %s", entry.name, version, left, error
                )
        return self._open(entry, version)

    def _open(self, entry: ModelEntry, version: int) -> Opened:
        started = time.perf_counter_ns()
        written = entry.config_of(version) or ModelConfig()
        source = str(entry.config_path_of(version))
        backend = backend_name(written, entry.name)
        if not backend:
            _refuse_faults(normalise(written, entry.name), source)
        settings = {**self._settings.backends.get("", {}), **self._settings.backends.get(backend, {})}
        path, host = entry.versions[version], self._plane.host()
        policies = self._settings.policies
        context = LoadContext(
            entry.name,
            version,
            entry.path,
            path,
            written,
            settings,
            host,
            self._launch,
            policies,
            self._settings.compiled,
        )
        # Frameworks start threads of their own, which stay where the thread was that started them.
        with kept_to(shared_cores(normalise(written, entry.name), policies)):
            model = find(backend).open(context)
        config = normalise(model.config if self._settings.complete else written, entry.name)
        config.default_model_filename = config.default_model_filename or model_file(config.backend, path)
        _refuse_faults(config, source)
        if is_ensemble(config):
            config = self._ensembles.assemble(config)
        try:
            self._plane.check_limits(config.SerializeToString())
        except ValueError as error:
            raise ModelLoadError(str(error), where=source) from None
        named, files = labels(config, entry.path), tensor_files(config, entry.path)
        with kept_to(shared_cores(config, policies)):
            instances = model.instances(config)
        homes = [cores_of(config, made, policies) for made in instances]
        serialized, text, took_ns = config.SerializeToString(), config_json(config), time.perf_counter_ns() - started
        prepared = self._plane.prepare(
            version, serialized, text, instances, took_ns, labels=named, files=files, cores=homes
        )
        kinds = tuple(instance.kind for instance in instances)
        threads = getattr(model, "threads", None)
        return Opened(version, config, prepared, kinds, (time.perf_counter_ns() - started) / 1e9, threads)

    def _launch(self, name: str, interpreter: str | None, variables: Mapping[str, str]) -> Process:
        """Start a process for an instance. It finds this very package; an environment of its own has it already."""
        command = [interpreter or sys.executable, "-m", "windlass.serving.worker"]
        if interpreter:
            return self._plane.process(name, command, dict(variables))
        path = [os.environ.get("PYTHONPATH", ""), str(Path(windlass.__file__).parent.parent)]
        found = {"PYTHONPATH": os.pathsep.join(filter(None, path))}
        return self._plane.process(name, command, {**variables, **found})


def _refuse_faults(config: ModelConfig, source: str) -> None:
    """Raise ``ModelLoadError`` with everything that is wrong with a configuration, which is in the file ``source``."""
    errors = [finding for finding in validate(config, source) if finding.severity == "error"]
    if errors:
        raise ModelLoadError("; ".join(finding.message for finding in errors), where=source)
