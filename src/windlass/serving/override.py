"""What a load request carries of a model: a configuration in place of the written one, files in place of the folder."""

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from windlass.config import parse_json
from windlass.errors import ConfigError, ModelLoadError
from windlass.repository import ModelEntry, scan_model

Parameters = Mapping[str, str | int | bool | bytes]

_FILE = "file:"


def given_config(parameters: Parameters) -> str | None:
    """Return the configuration of a request, in JSON. Raises ``ModelLoadError`` for what is no load parameter."""
    for name in parameters:
        if name != "config" and not name.startswith(_FILE):
            raise ModelLoadError(f"unrecognized load parameter '{name}'.")
    config = parameters.get("config")
    if isinstance(config, str):
        return config
    if config is not None or given_files(parameters):
        raise ModelLoadError("Load parameter 'config' must be specified for model file override")
    return None


def given_files(parameters: Parameters) -> dict[str, bytes]:
    """Return the files of a request by their path in the model's folder."""
    return {
        name.removeprefix(_FILE): content if isinstance(content, bytes) else str(content).encode()
        for name, content in parameters.items()
        if name.startswith(_FILE)
    }


def with_config(entry: ModelEntry, text: str) -> ModelEntry:
    """Return the model with another configuration; where that names no backend, the written one still does."""
    try:
        config = parse_json(text)
    except ConfigError as error:
        raise ModelLoadError(error.message) from None
    if config.name not in ("", entry.name):
        raise ModelLoadError(
            f"Invalid config override: unexpected directory name '{entry.name}' for model '{config.name}', "
            "directory name must equal model name"
        )
    config.name = entry.name
    if not config.backend and not config.platform and entry.config is not None:
        config.backend = entry.config.backend
        config.platform = entry.config.platform
    return replace(entry, config=config, own_configs={}, findings=())


class Folder:
    """A model's folder that came with a request: it is removed when nothing refers to it any more."""

    def __init__(self, model: str) -> None:
        above = tempfile.mkdtemp(prefix="windlass-model-")
        self.path = (Path(above) / model).resolve()
        weakref.finalize(self, shutil.rmtree, above, ignore_errors=True)

    def write(self, relative: str, content: bytes) -> None:
        """Write one file. Raises ``ModelLoadError`` for a path that leads out of the folder."""
        target = (self.path / relative).resolve()
        if not target.is_relative_to(self.path) or target == self.path:
            raise ModelLoadError(
                f"Invalid file parameter '{_FILE}{relative}' with normalized path '{target}' must stay "
                "within model directory."
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def from_files(model: str, files: Mapping[str, bytes]) -> ModelEntry:
    """Return a model that consists of the files of a request and of nothing else."""
    folder = Folder(model)
    for relative, content in files.items():
        folder.write(relative, content)
    return replace(scan_model(folder.path), folder=folder)
