"""Delivery pipelines: check, build, scan, list what is inside, push, deploy, with pinned tools."""

from collections.abc import Callable

from windlass.generate.pipelines import argocd, github, gitlab
from windlass.generate.text import Files
from windlass.release import Release

# What `windlass render` takes beside the names of targets.
PIPELINES: dict[str, Callable[[Release], Files]] = {
    "gitlab-ci": gitlab.files,
    "github-actions": github.files,
    "argocd": argocd.files,
}

__all__ = ["PIPELINES"]
