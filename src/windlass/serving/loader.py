"""Loads and unloads models: from a folder to instances in the data plane, one model at a time each."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from windlass._plane import Plane
from windlass.backends import Instance, LoadContext, find
from windlass.config import ModelConfig, config_json, normalise, validate
from windlass.errors import ModelLoadError, WindlassError, code_prefix
from windlass.repository import ModelEntry, select
from windlass.serving import memory
from windlass.serving.reconcile import NOTHING, Fingerprint, fingerprint, reconcile

log = logging.getLogger("windlass")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version that is ready to be put into service."""

    version: int
    config: ModelConfig
    instances: Sequence[Instance]
    load_ns: int


class Loader:
    """Owns the knowledge of what was loaded from where; the data plane owns what is loaded.

    Methods may be called from several threads: loads of one model follow each other, those of different models do not
    wait for one another.
    """

    def __init__(self, plane: Plane, settings: Mapping[str, Mapping[str, str]], drain_timeout_s: float) -> None:
        self._plane = plane
        self._settings = settings
        self._drain_timeout_s = drain_timeout_s
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._serving: dict[str, tuple[Fingerprint, tuple[int, ...]]] = {}

    def load(self, entry: ModelEntry, *, keep_good: bool = False) -> None:
        """Put the wanted versions of a model into service; what is served and did not change stays as it is.

        Raises ``ModelLoadError`` when a version fails; the versions that were served before then stay. ``keep_good``
        serves the versions that did load all the same, as is right where none was served before.
        """
        with self._locks[entry.name]:
            self._load(entry, keep_good=keep_good)

    def _load(self, entry: ModelEntry, *, keep_good: bool) -> None:
        wanted = self._wanted(entry)
        mark = fingerprint(entry)
        before, serving = self._serving.get(entry.name, (NOTHING, ()))
        steps = reconcile(serving, wanted, changed=mark != before)
        loaded, failures = self._open_all(entry, steps.load)
        if failures and not (keep_good and not serving):
            self._close(loaded)
            loaded = []
        for opened in loaded:
            self._publish(entry.name, opened)
        if failures:
            self._note_failures(entry.name, failures)
        else:
            for version in steps.retire:
                self._plane.retire(entry.name, version, self._drain_timeout_s, "unloaded")
        if loaded or not failures:
            ready = tuple(version for version in wanted if version not in failures)
            self._serving[entry.name] = (NOTHING, ready) if failures else (mark, ready)
        if failures:
            raise ModelLoadError(_summary(entry.name, failures))

    def _wanted(self, entry: ModelEntry) -> tuple[int, ...]:
        """Return the versions to serve, of a model that can be served at all."""
        if entry.errors or entry.config is None:
            reason = "; ".join(finding.message for finding in entry.errors)
            self._refuse(entry.name, f"Invalid argument: {reason}")
            raise ModelLoadError(f"failed to load '{entry.name}', {reason}")
        wanted = select(entry.config, entry.versions)
        if not wanted:
            message = f"at least one version must be available under the version policy of model '{entry.name}'"
            self._refuse(entry.name, f"Invalid argument: {message}")
            raise ModelLoadError(message)
        return wanted

    def _open_all(self, entry: ModelEntry, versions: Sequence[int]) -> tuple[list[Loaded], dict[int, str]]:
        loaded, failures = [], {}
        for version in versions:
            self._plane.announce(entry.name, version, "LOADING")
            try:
                loaded.append(self._open(entry, version))
            except WindlassError as error:
                failures[version] = f"{code_prefix(error)}{error.message}"
                self._explain(entry.name, version, error)
            except Exception as error:  # a backend from elsewhere must not take the server down
                failures[version] = f"Internal: {type(error).__name__}: {error}"
                log.exception("model `%s` version %s failed to load", entry.name, version)
        return loaded, failures

    def _open(self, entry: ModelEntry, version: int) -> Loaded:
        started = time.perf_counter_ns()
        written = entry.config or ModelConfig()
        backend = normalise(written, entry.name).backend
        settings = {**self._settings.get("", {}), **self._settings.get(backend, {})}
        path, host = entry.versions[version], self._plane.host()
        opened = find(backend).open(LoadContext(entry.name, version, entry.path, path, written, settings, host))
        config = normalise(opened.config, entry.name)
        errors = [finding for finding in validate(config, str(entry.config_path)) if finding.severity == "error"]
        if errors:
            raise ModelLoadError("; ".join(finding.message for finding in errors), where=str(entry.config_path))
        instances = opened.instances(config)
        return Loaded(version, config, instances, time.perf_counter_ns() - started)

    def _publish(self, name: str, loaded: Loaded) -> None:
        config = loaded.config
        text = config_json(config)
        self._plane.publish(loaded.version, config.SerializeToString(), text, loaded.instances, loaded.load_ns)
        count = len(loaded.instances)
        kinds = ", ".join(sorted({instance.kind for instance in loaded.instances}))
        fields = {"model": name, "version": loaded.version, "backend": config.backend, "instances": count}
        log.info(
            "loaded `%s` version %s: %s, %s %s on %s, %.2f s",
            name,
            loaded.version,
            config.backend,
            count,
            "instance" if count == 1 else "instances",
            kinds,
            loaded.load_ns / 1e9,
            extra={"fields": fields},
        )

    @staticmethod
    def _close(loaded: Sequence[Loaded]) -> None:
        for version in loaded:
            for instance in version.instances:
                instance.close()

    def _explain(self, name: str, version: int, error: WindlassError) -> None:
        hint = f" (hint: {error.hint})" if error.hint else ""
        log.error("model `%s` version %s failed to load: %s%s", name, version, error.message, hint)

    def _note_failures(self, name: str, failures: Mapping[int, str]) -> None:
        # A version that is served stays so: the data plane does not let a note override it.
        for version, reason in failures.items():
            self._plane.announce(name, version, "UNAVAILABLE", reason)

    def _refuse(self, name: str, reason: str) -> None:
        log.error("model `%s` cannot be served: %s", name, reason)
        if not self._serving.get(name, (NOTHING, ()))[1]:
            self._plane.announce(name, None, "UNAVAILABLE", reason)

    def unload(self, name: str) -> None:
        """Take every version of a model out of service, when it has answered what it has."""
        with self._locks[name]:
            _, versions = self._serving.pop(name, (NOTHING, ()))
            for version in versions:
                self._plane.retire(name, version, self._drain_timeout_s, "unloaded")
            if versions:
                memory.return_freed()
                log.info("unloaded `%s`", name)

    def serving(self) -> dict[str, tuple[int, ...]]:
        """Return the versions in service by model."""
        return {name: versions for name, (_, versions) in sorted(self._serving.items()) if versions}


def _summary(name: str, failures: Mapping[int, str]) -> str:
    parts = "".join(f"version {version} is at UNAVAILABLE state: {reason};" for version, reason in failures.items())
    return f"load failed for model '{name}': {parts}\n"
