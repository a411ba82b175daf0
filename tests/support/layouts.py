"""A golden case's clusters, in whichever layout a test wants."""

import dataclasses
from pathlib import Path

from support.golden import Case, cases
from windlass.config.project import KubernetesTarget
from windlass.config.yaml_text import parse
from windlass.generate import Files
from windlass.generate.kubernetes.objects import VERSIONS
from windlass.generate.kubernetes.readme import PROVIDERS
from windlass.release import Release

# Kinds that Kubernetes does not bring, whose schemas a real API server holds.
FOREIGN = sorted(kind.removeprefix("Istio") for kind, one in VERSIONS.items() if one.partition("/")[0] in PROVIDERS)


def clusters() -> list[tuple[Case, str]]:
    """Return every golden case with each of its targets that is a cluster."""
    return [(case, target) for case in cases() for target in case.targets if _kind(case, target) == "kubernetes"]


def _kind(case: Case, target: str) -> str:
    return str(parse((case.folder / "windlass.yaml").read_text(), case.name).value["targets"][target]["kind"])


def in_layout(release: Release, layout: str) -> Release:
    """Return a release, and those beside it, with another layout."""
    targets = {
        name: one.model_copy(update={"layout": layout}) if isinstance(one, KubernetesTarget) else one
        for name, one in release.project.targets.items()
    }
    siblings = tuple(in_layout(one, layout) for one in release.siblings)
    project = release.project.model_copy(update={"targets": targets})
    return dataclasses.replace(release, project=project, siblings=siblings)


def write(files: Files, folder: Path) -> Path:
    """Write files into a folder."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder
