"""Loads and unloads models: from a folder to instances in the data plane, one model at a time each."""

import logging
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from windlass._plane import Plane
from windlass.config import normalise
from windlass.config.ensemble import ensemble_faults, is_ensemble
from windlass.errors import ModelLoadError, WindlassError, code_prefix
from windlass.repository import ModelEntry, select
from windlass.serving import memory
from windlass.serving.ensembles import Ensembles, ranked
from windlass.serving.opener import LoadSettings, Opened, Opener
from windlass.serving.reconcile import Mark, marks, reconcile

log = logging.getLogger("windlass")


@dataclass(frozen=True, slots=True)
class Served:
    """What is in service of a model, by version, with the state of the files it was loaded from.

    ``failed`` are versions that the index says did not load.
    """

    versions: Mapping[int, Mark] = field(default_factory=dict)
    failed: tuple[int, ...] = ()
    folder: object = None


class Loader:
    """Owns the knowledge of what was loaded from where; the data plane owns what is loaded.

    Methods may be called from several threads: loads of one model follow each other, those of different models do not
    wait for one another.
    """

    def __init__(self, plane: Plane, settings: LoadSettings) -> None:
        self._plane = plane
        self._settings = settings
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._serving: dict[str, Served] = {}
        self._ensembles = Ensembles()
        self._opener = Opener(plane, settings, self._ensembles)

    def load_all(self, entries: Iterable[ModelEntry]) -> list[str]:
        """Load several models at a time, each as far as it can be; returns the names of those that failed.

        Ensembles come last, those within others first: every one finds its steps loaded, or failed.
        """
        entries = list(entries)
        for entry in entries:
            self.know(entry)

        def attempt(entry: ModelEntry) -> str | None:
            try:
                self.load(entry, keep_good=True)
            except ModelLoadError:
                return entry.name
            return None

        with ThreadPoolExecutor(self._settings.threads, thread_name_prefix="load") as pool:
            return [name for rank in ranked(entries) for name in pool.map(attempt, rank) if name]

    def know(self, entry: ModelEntry) -> None:
        """Take note of a model that may be loaded soon, so that circles of ensembles are found."""
        self._ensembles.know(entry)

    def load(self, entry: ModelEntry, *, keep_good: bool = False) -> None:
        """Put the wanted versions of a model into service; what is served and did not change stays as it is.

        Raises ``ModelLoadError`` when a version fails; the versions that were served before then stay. ``keep_good``
        serves the versions that did load all the same, as is right where none was served before.
        """
        self._ensembles.want(entry)
        try:
            with self._locks[entry.name]:
                self._load(entry, keep_good=keep_good)
        except ModelLoadError as error:
            self._ensembles.failed(entry.name, error.message.partition(": ")[2].removesuffix("\n") or error.message)
            raise
        finally:
            self._follow(entry.name)

    def _follow(self, name: str) -> None:
        """Bring the ensembles that a model is a step of up to date with it.

        No lock is held meanwhile: each ensemble is loaded like any other model.
        """
        for misfit in self._ensembles.misfits(name):
            self._take_out(misfit)
        for entry in self._ensembles.waiting_for(name):
            try:
                self.load(entry, keep_good=True)
            except ModelLoadError as error:
                log.warning("ensemble `%s` is out of service: %s", entry.name, error.message.strip())

    def _load(self, entry: ModelEntry, *, keep_good: bool) -> None:
        wanted = self._marks(entry)
        served = self._serving.get(entry.name, Served())
        steps = reconcile(served.versions, wanted)
        loaded, failures = self._open_all(entry, steps.load)
        if failures and not (keep_good and not served.versions):
            for opened in loaded:
                opened.prepared.close()
            loaded = []
        for opened in loaded:
            self._publish(entry.name, opened)
        self._note_failures(entry.name, failures)
        # What a version that failed was to replace stays.
        retired = () if failures else steps.retire
        for version in retired:
            self._ensembles.leave(entry.name, version)
            self._plane.retire(entry.name, version, self._settings.drain_timeout_s, "unloaded")
        if not failures:
            self._settle(entry.name, [version for version in served.failed if version not in wanted])
        new = {opened.version: wanted[opened.version] for opened in loaded}
        kept = {version: mark for version, mark in served.versions.items() if version not in retired}
        folder = entry.folder if loaded else served.folder
        self._serving[entry.name] = Served({**kept, **new}, tuple(failures), folder)
        if failures:
            raise ModelLoadError(_summary(entry.name, failures))

    def _marks(self, entry: ModelEntry) -> dict[int, Mark]:
        """Return the versions to serve, with what tells whether they changed."""
        wanted = marks(entry, self._wanted(entry))
        if entry.config is None or not is_ensemble(entry.config):
            return wanted
        config = normalise(entry.config, entry.name)
        if any(ensemble_faults(config)):
            # What is wrong with it by itself is told when it is opened.
            return wanted
        try:
            self._ensembles.assemble(config)
        except ModelLoadError as error:
            self._refuse(entry.name, f"Invalid argument: {error.message}")
            raise ModelLoadError(f"load failed for model '{entry.name}': {error.message}\n") from None
        signature = self._ensembles.signature(entry.config)
        return {version: (config + signature, files) for version, (config, files) in wanted.items()}

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

    def _open_all(self, entry: ModelEntry, versions: Sequence[int]) -> tuple[list[Opened], dict[int, str]]:
        loaded, failures = [], {}
        for version in versions:
            self._plane.announce(entry.name, version, "LOADING")
            try:
                loaded.append(self._opener.open(entry, version))
            except WindlassError as error:
                failures[version] = f"{code_prefix(error)}{error.message}"
                self._explain(entry.name, version, error)
            except Exception as error:  # a backend from elsewhere must not take the server down
                failures[version] = f"Internal: {type(error).__name__}: {error}"
                log.exception("model `%s` version %s failed to load", entry.name, version)
        return loaded, failures

    def _publish(self, name: str, opened: Opened) -> None:
        self._ensembles.enter(opened.config, opened.version)
        self._plane.publish(opened.prepared)
        count, backend = len(opened.kinds), opened.config.backend
        fields = {"model": name, "version": opened.version, "backend": backend, "instances": count}
        threads = ""
        if opened.threads:
            fields |= {"threads": opened.threads.each, "cores": opened.threads.cores}
            threads = f", {opened.threads}"
        log.info(
            "loaded `%s` version %s: %s, %s %s on %s%s, %.2f s",
            name,
            opened.version,
            backend,
            count,
            "instance" if count == 1 else "instances",
            ", ".join(sorted(set(opened.kinds))),
            threads,
            opened.took_s,
            extra={"fields": fields},
        )
        if opened.threads and (complaint := opened.threads.complaint()):
            log.warning("model `%s`: %s", name, complaint)

    def _explain(self, name: str, version: int, error: WindlassError) -> None:
        hint = f" (hint: {error.hint})" if error.hint else ""
        log.error("model `%s` version %s failed to load: %s%s", name, version, error.message, hint)

    def _note_failures(self, name: str, failures: Mapping[int, str]) -> None:
        # A version that is served stays so: the data plane does not let a note override it.
        for version, reason in failures.items():
            self._plane.announce(name, version, "UNAVAILABLE", reason)

    def _settle(self, name: str, failed: Iterable[int]) -> None:
        """Let versions that failed, and that nobody asks for any more, count as unloaded."""
        for version in failed:
            self._plane.announce(name, version, "UNAVAILABLE", "unloaded")

    def _refuse(self, name: str, reason: str) -> None:
        log.error("model `%s` cannot be served: %s", name, reason)
        if not self._serving.get(name, Served()).versions:
            self._plane.announce(name, None, "UNAVAILABLE", reason)

    def unload(self, name: str, *, with_steps: bool = False, keep: Collection[str] = ()) -> None:
        """Take every version of a model out of service, when it has answered what it has.

        Ensembles that it is a step of go first; they come back when it does. ``with_steps`` unloads the models of an
        ensemble's steps as well, but for those that another one needs, and for those to ``keep``.
        """
        self._ensembles.dismiss(name)
        steps = self._ensembles.below(name)
        self._take_out(name)
        if with_steps:
            for step in steps:
                if step not in keep and not self._ensembles.above(step):
                    self.unload(step, with_steps=True, keep=keep)

    def _take_out(self, name: str) -> None:
        with self._locks[name]:
            served = self._serving.pop(name, Served())
            # From here on no ensemble can be made of it. Locks are taken from a step to what it is a step of, and never
            # the other way round.
            self._ensembles.leave(name)
            for above in self._ensembles.above(name):
                self._take_out(above)
            for version in served.versions:
                self._plane.retire(name, version, self._settings.drain_timeout_s, "unloaded")
            self._settle(name, served.failed)
            if served.versions:
                memory.return_freed()
                log.info("unloaded `%s`", name)

    def forget(self, name: str) -> None:
        """Unload a model that is no longer in the repository, and strike it out of the index."""
        self.unload(name)
        self._plane.forget(name)

    def serving(self) -> dict[str, tuple[int, ...]]:
        """Return the versions in service by model."""
        return {
            name: tuple(sorted(served.versions)) for name, served in sorted(self._serving.items()) if served.versions
        }


def _summary(name: str, failures: Mapping[int, str]) -> str:
    parts = "".join(f"version {version} is at UNAVAILABLE state: {reason};" for version, reason in failures.items())
    return f"load failed for model '{name}': {parts}\n"
