"""Reads what a release is made of: the models of a repository that is a folder, digests of files, the revision."""

import dataclasses
import fnmatch
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from windlass.config import Finding
from windlass.config.project import Project
from windlass.release.release import DEVELOPMENT, Model, Release, lock
from windlass.repository import ModelEntry, scan
from windlass.repository.digest import digest, files

Models = dict[str, tuple[Model, ...]]
Inputs = dict[str, str]


def read_release(
    project: Project,
    target: str,
    folder: Path,
    version: str,
    *,
    siblings: Mapping[str, Project] | None = None,
    **also: Any,
) -> tuple[Release, list[Finding]]:
    """Return the release of a project in a folder, and what is wrong between project and repository.

    ``siblings`` are the project as it is on other targets, for texts that several targets share. ``also`` are further
    members of the release: ``revision``, ``root``. Raises ``RepositoryError`` where the repository is to be a folder
    and is none.
    """
    known: dict[str, dict[str, Model]] = {}
    members = {target: project, **(siblings or {})}
    read = {name: _read(one, folder, known) for name, one in members.items()}
    made = [Release(members[name], name, version, models, inputs, **also) for name, (models, inputs, _) in read.items()]
    return dataclasses.replace(made[0], siblings=tuple(made[1:])), [*read[target][-1], *_without_backends(made[0])]


def _read(project: Project, folder: Path, known: dict[str, dict[str, Model]]) -> tuple[Models, Inputs, list[Finding]]:
    """Read models and files; ``known`` are models by folder and name that were digested already."""
    locks = [lock(name) for name in (*project.services, DEVELOPMENT)]
    inputs = {path: _digest(folder / path) for path in (*_inputs(project), *locks) if (folder / path).is_file()}
    findings = [
        Finding(path, f"`{folder / path}` is no file", "write it, or leave the key out")
        for path in _inputs(project)
        if path not in inputs
    ]
    models: Models = {}
    place = project.repository.path
    if place is not None:
        entries = scan([folder / place]).models
        findings += list(_unmatched(project, entries))
        if place not in known:
            known[place] = {name: _model(entry) for name, entry in entries.items()}
        models = _served(project, known[place])
    return models, inputs, findings


def _served(project: Project, known: dict[str, Model]) -> Models:
    return {
        name: tuple(known[model] for model in known if any(fnmatch.fnmatchcase(model, one) for one in service.models))
        for name, service in project.services.items()
        if service.runtime != "vllm"
    }


def _inputs(project: Project) -> list[str]:
    """Return the files that images are made of, besides models."""
    named = [service.requirements for service in project.services.values()]
    wheel = project.image.windlass if (project.image.windlass or "").endswith(".whl") else None
    return sorted({path for path in (*named, wheel, project.image.conda) if path})


def _model(entry: ModelEntry) -> Model:
    size = sum(path.stat().st_size for path in files(entry.path))
    return Model(entry.name, entry.backends, tuple(sorted(entry.versions)), digest(entry.path), size)


def _unmatched(project: Project, entries: dict[str, ModelEntry]) -> Iterator[Finding]:
    """Yield patterns that match no model, models that two services serve, and models that none does."""
    served: dict[str, list[str]] = {name: [] for name in entries}
    patterns = {name: service.models for name, service in project.services.items() if service.runtime != "vllm"}
    for name, pattern in ((name, pattern) for name, some in patterns.items() for pattern in some):
        matching = fnmatch.filter(entries, pattern)
        for model in matching:
            served[model].append(name)
        if not matching:
            hint = f"models there: {', '.join(f'`{model}`' for model in entries) or 'none'}"
            yield Finding(f"services.{name}.models", f"`{pattern}` matches no model of the repository", hint)
    for model, names in served.items():
        services = sorted(set(names))
        if len(services) > 1:
            message = f"model `{model}` is served by {' and '.join(f'`{name}`' for name in services)}"
            yield Finding(f"services.{services[1]}.models", message, "name it in one service only: routes lead to one")
        elif not services:
            hint = "name it under `models` of a service"
            yield Finding("services", f"model `{model}` is served by no service", hint, "warning")


def _without_backends(release: Release) -> Iterator[Finding]:
    """Yield services whose image would have no backend, since nobody says what the models need."""
    for name in release.project.services:
        if release.built(name) and release.target.kind != "local" and not release.backends(name):
            message = "which backends its models need cannot be seen, and its image will have none"
            yield Finding(f"services.{name}", message, "name them: `backends: [onnxruntime]`", "warning")


def _digest(path: Path) -> str:
    with path.open("rb") as opened:
        return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
