"""A release as Kubernetes objects: plain manifests, a kustomize tree or a Helm chart, all with the same objects.

What it makes is values first; `manifests` has them all, and each layout writes them in its own way.
"""

from windlass.generate.kubernetes import helm, kustomize, plain
from windlass.generate.kubernetes.manifests import Manifests, manifests
from windlass.generate.kubernetes.objects import cluster
from windlass.generate.text import Files
from windlass.release import Release

__all__ = ["Manifests", "files", "manifests"]


def files(release: Release) -> Files:
    """Return the files of a release in the layout that its target asks for."""
    layouts = {"plain": plain.files, "kustomize": kustomize.files, "helm": helm.files}
    return layouts[cluster(release).layout](release)
