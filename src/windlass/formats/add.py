"""Puts a model into a repository: a new model, or the next version of one. Whole, or not at all."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from windlass.backends import LoadContext
from windlass.backends import find as find_backend
from windlass.config import Finding, ModelConfig, config_json
from windlass.config.text import config_text
from windlass.errors import RepositoryError, UsageError, WindlassError
from windlass.formats.found import Found
from windlass.formats.trial import Trial, run_once
from windlass.repository import ModelEntry, scan_model
from windlass.repository.layout import CONFIG_FILE
from windlass.repository.staging import Staged, new_version, publish, staging
from windlass.samples import Samples, read

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
# Names of files that say what kind of thing is in them, and not which.
_MOST_SAMPLES = 8
_NAMELESS = {"model", "openvino_model", "pytorch_model", "saved_model", "weights", "module"}


@dataclass(frozen=True, slots=True)
class Wish:
    """Where a model is to go, and how it is tried: on generated samples, on some of a person's own, or not at all."""

    name: str
    repository: Path
    max_batch_size: int = 16
    data: Path | None = None
    run: bool = True


@dataclass(frozen=True, slots=True)
class Added:
    """What is in the repository now."""

    entry: ModelEntry
    version: int
    config: ModelConfig
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the members as JSON would have them."""
        return {
            "model": self.entry.name,
            "version": self.version,
            "folder": str(self.entry.versions[self.version]),
            "config": json.loads(config_json(self.config)),
            "findings": [finding.as_dict() for finding in self.findings],
            "notes": list(self.notes),
        }


def name_for(text: str) -> str:
    """Return the name a file suggests: its own, or that of its folder where it has none to speak of."""
    path = Path(text.rpartition(":")[0] if ".py:" in text else text)
    stem = path.resolve().name if path.is_dir() else path.name.split(".")[0]
    chosen = path.resolve().parent.name if stem in _NAMELESS else stem
    return re.sub(r"[^\w.-]+", "-", chosen).strip("-._") or "model"


def put(found: Found, wish: Wish) -> Added:
    """Write a model as the first or the next version of a name, run it once, and put it in its place.

    Raises ``UsageError`` or ``RepositoryError``; then, and after an interruption, the repository is as it was.
    """
    if not _NAME.fullmatch(wish.name):
        raise UsageError(f"`{wish.name}` is no name for a model", hint="use letters, digits, `_`, `-` and `.`")
    folder = wish.repository / wish.name
    with _repository(wish.repository):
        return _next(found, wish, folder) if folder.exists() else _first(found, wish, folder)


@contextmanager
def _repository(path: Path) -> Iterator[None]:
    """Make the folder of a repository that is not there; it goes again where nothing came of it."""
    if path.exists() and not path.is_dir():
        raise RepositoryError(f"`{path}` is no model repository", found="a file")
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RepositoryError(f"cannot make `{path}`: {error.strerror}") from None
    try:
        yield
    except BaseException:
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise


def _first(found: Found, wish: Wish, folder: Path) -> Added:
    with staging(wish.repository, wish.name) as staged:
        version = staged / "1"
        version.mkdir()
        entry = ModelEntry(wish.name, staged, None, {1: version})
        added = _made(found, wish, entry, 1)
        (staged / CONFIG_FILE).write_text(config_text(added.config), encoding="utf-8")
        publish(staged, folder)
    return replace(added, entry=scan_model(folder))


def _next(found: Found, wish: Wish, folder: Path) -> Added:
    model = scan_model(folder)
    if model.errors:
        first = model.errors[0]
        raise RepositoryError(first.message, where=first.where, hint=first.hint or "`windlass check` tells more")
    with new_version(model) as staged:
        entry = replace(model, versions={**model.versions, staged.version: staged.folder})
        added = _made(found, wish, entry, staged.version)
        if not _goes_by(model, staged, added.config):
            (staged.folder / CONFIG_FILE).write_text(config_text(added.config), encoding="utf-8")
    return replace(added, entry=scan_model(folder), version=staged.version)


def _made(found: Found, wish: Wish, entry: ModelEntry, version: int) -> Added:
    """Write the model's files, complete its configuration from them, and try it."""
    written = found.write(entry.versions[version])
    config = _completed(written.config, entry, version, wish.max_batch_size)
    notes, findings = list(written.notes), list[Finding]()
    if wish.run:
        trial = _tried(entry, version, config, _samples(wish, config))
        if not trial.splits:
            notes.append("it has no batch: rows that come together are not answered as if each had come alone")
            config = _without_batch(config)
            trial = _tried(entry, version, config, None)
        if trial.errors:
            first = trial.errors[0]
            raise UsageError(first.message, where=wish.name, hint=first.hint)
        findings += trial.findings
        notes.append(f"ran {len(trial.samples)} samples, {trial.samples.source}")
    return Added(entry, version, config, tuple(findings), tuple(notes))


def _completed(written: ModelConfig, entry: ModelEntry, version: int, max_batch_size: int) -> ModelConfig:
    """Let the backend say what the files tell."""
    config = ModelConfig()
    config.CopyFrom(written)
    config.name = entry.name
    if config.max_batch_size:
        config.max_batch_size = max_batch_size
    settings = {"default-max-batch-size": str(max_batch_size)}
    context = LoadContext(entry.name, version, entry.path, entry.versions[version], config, settings)
    full = find_backend(config.backend).open(context).config
    if full.max_batch_size > 1 and not full.WhichOneof("scheduling_choice"):
        full.dynamic_batching.SetInParent()
    return full


def _tried(entry: ModelEntry, version: int, config: ModelConfig, samples: Samples | None) -> Trial:
    return run_once(replace(entry, config=config, own_configs={**entry.own_configs, version: config}), version, samples)


def _samples(wish: Wish, config: ModelConfig) -> Samples | None:
    return read(wish.data, config, limit=_MOST_SAMPLES) if wish.data else None


def _without_batch(config: ModelConfig) -> ModelConfig:
    """Return the configuration of requests that are whole: what was the batch is an axis like others."""
    whole = ModelConfig()
    whole.CopyFrom(config)
    whole.max_batch_size = 0
    whole.ClearField("dynamic_batching")
    ends: list[Any] = [*whole.input, *whole.output]
    for tensor in ends:
        tensor.dims.insert(0, -1)
    return whole


def _goes_by(model: ModelEntry, staged: Staged, config: ModelConfig) -> bool:
    """Tell whether the model's configuration fits the new version as well as its own would."""
    shared = ModelConfig()
    shared.CopyFrom(model.config or ModelConfig())
    if shared.backend != config.backend or shared.max_batch_size and not config.max_batch_size:
        return False
    context = LoadContext(model.name, staged.version, model.path, staged.folder, shared)
    try:
        full = find_backend(shared.backend).open(context).config
    except WindlassError:
        return False
    batches = bool(full.max_batch_size) == bool(config.max_batch_size)
    return batches and _tensors(full) == _tensors(config)


def _tensors(config: ModelConfig) -> list[tuple[str, int, tuple[int, ...]]]:
    ends: list[Any] = [*config.input, *config.output]
    return [(tensor.name, tensor.data_type, tuple(tensor.dims)) for tensor in ends]
