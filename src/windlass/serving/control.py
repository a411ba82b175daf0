"""What clients may ask of the repository over the network: load and unload, in the protocol's words."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from windlass.config.ensemble import step_models
from windlass.errors import ModelLoadError, UnavailableError, WindlassError
from windlass.repository import ModelEntry, Reading, scan_model
from windlass.serving.loader import Loader
from windlass.serving.logs import Switches
from windlass.serving.override import Parameters, from_files, given_config, given_files, with_config

log = logging.getLogger("windlass")

_LEVELS = {"verbose": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Control:
    """Answers load and unload requests. Called on threads that may block."""

    def __init__(self, repositories: Sequence[Path], reading: Reading, *, explicit: bool) -> None:
        self._repositories = repositories
        self._reading = reading
        self._explicit = explicit
        self._loader: Loader | None = None
        # What was asked for by its name, and not only as a step of an ensemble.
        self._asked: set[str] = set()
        self._switches = Switches()

    def attach(self, loader: Loader, asked: Iterable[str]) -> None:
        """Take the loader, which needs the data plane, which needs this object, and what it was told to load."""
        self._loader = loader
        self._asked.update(asked)

    def load(self, name: str, parameters: Parameters) -> None:
        """Load a model from its folder, or from what the request carries; returns when it is ready."""
        loader = self._allowed()
        _check_name(name)
        config, files = given_config(parameters), given_files(parameters)
        entry = from_files(name, files) if files else self._find(name)
        entry = entry if config is None else with_config(entry, config)
        self._load_steps(loader, entry, (name,))
        loader.load(entry)
        self._asked.add(name)

    def _load_steps(self, loader: Loader, entry: ModelEntry, above: tuple[str, ...]) -> None:
        """Load the models that an ensemble is made of, as far as they are there and are not served already.

        What fails is told by the ensemble that needs it, and so is a circle.
        """
        if entry.config is None:
            return
        loader.know(entry)
        for step in step_models(entry.config):
            if step in above or step in loader.serving():
                continue
            try:
                found = self._find(step)
                self._load_steps(loader, found, (*above, step))
                loader.load(found)
            except WindlassError:
                log.warning("model `%s`, a step of `%s`, is not loaded", step, entry.name)

    def unload(self, name: str, unload_dependents: bool) -> None:  # noqa: FBT001 - called from Rust
        """Unload a model, and where that is asked for those that were loaded along with it.

        One that is not known counts as unloaded.
        """
        loader = self._allowed()
        self._asked.discard(name)
        loader.unload(name, with_steps=unload_dependents, keep=frozenset(self._asked))

    def log(self, level: str, message: str) -> None:
        """Write a line of the data plane into the log."""
        log.log(_LEVELS.get(level, logging.INFO), message)

    def set_log(self, info: bool, warning: bool, error: bool, verbose_level: int, format: str) -> None:  # noqa: A002, FBT001
        """Have the log written another way from now on."""
        self._switches.set(info=info, warning=warning, error=error, verbose_level=verbose_level, time_format=format)

    def close(self) -> None:
        """Leave the log as it was found."""
        self._switches.close()

    def _allowed(self) -> Loader:
        if not self._explicit or self._loader is None:
            raise UnavailableError(
                "explicit model load / unload is not allowed if polling is enabled",
                hint="start the server with `--model-control-mode explicit`",
            )
        return self._loader

    def _find(self, name: str) -> ModelEntry:
        found = [path for repository in self._repositories if (path := repository / name).is_dir()]
        if not found:
            _not_in_repository(name)
        entry = scan_model(found[0], self._reading)
        if entry.errors:
            log.error(
                "model `%s` cannot be loaded: %s",
                name,
                "; ".join(finding.message for finding in entry.errors),
            )
            _not_in_repository(name)
        return entry


def _check_name(name: str) -> None:
    if not name.strip():
        raise ModelLoadError("Model name cannot be empty. Please enter a valid name to deploy.")
    if "/" in name or "\\" in name or name in {".", ".."} or name != name.strip():
        raise ModelLoadError(f"invalid model name '{name}', model name must not contain path traversal characters")


def _not_in_repository(name: str) -> NoReturn:
    raise WindlassError(f"failed to load '{name}', failed to poll from model repository")
