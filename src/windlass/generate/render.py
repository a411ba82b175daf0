"""Everything that is written for a release, by the kind of its target."""

from windlass.config.project import ComposeTarget, LocalTarget
from windlass.generate import compose, images, kubernetes, processes
from windlass.generate.pipelines import PIPELINES
from windlass.generate.text import Files
from windlass.release import Release


def files(release: Release) -> Files:
    """Return all files of a release's target, by their path."""
    if isinstance(release.target, LocalTarget):
        return processes.files(release)
    if isinstance(release.target, ComposeTarget):
        return {**compose.files(release), **images.files(release)}
    return {**kubernetes.files(release), **images.files(release)}


def pipeline(name: str, release: Release) -> Files:
    """Return the files of a delivery pipeline that builds, scans, pushes and deploys a release."""
    return PIPELINES[name](release)
