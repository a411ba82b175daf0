"""What clients may ask of the repository over the network: load and unload, in the protocol's words."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from windlass.config import parse_json
from windlass.errors import ConfigError, ModelLoadError, UnavailableError, WindlassError
from windlass.repository import ModelEntry
from windlass.repository.repository import scan_model
from windlass.serving.loader import Loader

log = logging.getLogger("windlass")

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Control:
    """Answers load and unload requests. Called on threads that may block."""

    def __init__(self, repositories: Sequence[Path], *, explicit: bool) -> None:
        self._repositories = repositories
        self._explicit = explicit
        self._loader: Loader | None = None
        self._overrides: dict[str, tempfile.TemporaryDirectory[str]] = {}

    def attach(self, loader: Loader) -> None:
        """Take the loader, which needs the data plane, which needs this object."""
        self._loader = loader

    def load(self, name: str, parameters: Mapping[str, str | int | bool | bytes]) -> None:
        """Load a model from its folder, or from what the request carries; returns when it is ready."""
        loader = self._allowed()
        _check_name(name)
        files = {key.removeprefix("file:"): value for key, value in parameters.items() if key.startswith("file:")}
        config = parameters.get("config")
        if unknown := [key for key in parameters if key != "config" and not key.startswith("file:")]:
            raise ModelLoadError(f"unrecognized load parameter '{unknown[0]}'.")
        if files and not isinstance(config, str):
            raise ModelLoadError("Load parameter 'config' must be specified for model file override")
        entry = self._override(name, files) if files else self._find(name)
        if isinstance(config, str):
            entry = _with_config(entry, config)
        loader.load(entry)

    def unload(self, name: str, unload_dependents: bool) -> None:  # noqa: FBT001, ARG002 - called from Rust
        """Unload a model. One that is not known counts as unloaded; nothing depends on another model yet."""
        self._allowed().unload(name)
        if override := self._overrides.pop(name, None):
            override.cleanup()

    def log(self, level: str, message: str) -> None:
        """Write a line of the data plane into the log."""
        log.log(_LEVELS.get(level, logging.INFO), message)

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
        entry = scan_model(found[0])
        if entry.errors:
            log.error(
                "model `%s` cannot be loaded: %s",
                name,
                "; ".join(finding.message for finding in entry.errors),
            )
            _not_in_repository(name)
        return entry

    def _override(self, name: str, files: Mapping[str, str | int | bool | bytes]) -> ModelEntry:
        """Write the files of a request into a folder that becomes the model's."""
        folder = tempfile.TemporaryDirectory(prefix="windlass-model-")
        root = (Path(folder.name) / name).resolve()
        for relative, content in files.items():
            target = (root / relative).resolve()
            if not target.is_relative_to(root) or target == root:
                folder.cleanup()
                raise ModelLoadError(
                    f"Invalid file parameter 'file:{relative}' with normalized path '{target}' must stay "
                    "within model directory."
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else str(content).encode())
        self._overrides[name] = folder
        return scan_model(root)


def _with_config(entry: ModelEntry, text: str) -> ModelEntry:
    try:
        config = parse_json(text)
    except ConfigError as error:
        raise ModelLoadError(error.message) from None
    written = entry.config
    config.name = entry.name
    if not config.backend and not config.platform and written is not None:
        config.backend = written.backend
        config.platform = written.platform
    return ModelEntry(entry.name, entry.path, config, entry.versions, ())


def _check_name(name: str) -> None:
    if not name.strip():
        raise ModelLoadError("Model name cannot be empty. Please enter a valid name to deploy.")
    if "/" in name or "\\" in name or name in {".", ".."} or name != name.strip():
        raise ModelLoadError(f"invalid model name '{name}', model name must not contain path traversal characters")


def _not_in_repository(name: str) -> NoReturn:
    raise WindlassError(f"failed to load '{name}', failed to poll from model repository")
