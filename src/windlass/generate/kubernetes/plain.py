"""Plain manifests: a file for each thing, in the order in which `kubectl apply` takes them."""

from windlass.generate.kubernetes.manifests import Manifests, manifests
from windlass.generate.kubernetes.objects import cluster
from windlass.generate.kubernetes.readme import readme
from windlass.generate.text import Files, yaml_text
from windlass.release import Release

# Namespaces come first, also by their name: `kubectl apply` takes files in that order.
_FIRST = {"namespaces": "00-namespaces"}


def files(release: Release) -> Files:
    """Return the manifests, and how they are applied."""
    found = manifests(release)
    named = cluster(release).context
    context = f" --context={named}" if named else ""
    apply = f"kubectl{context} apply --server-side --recursive -f ."
    return {"README.md": readme(release, found, apply), **texts(release, found, _FIRST)}


def texts(release: Release, found: Manifests, renamed: dict[str, str]) -> Files:
    """Write each file under a comment that says what it is."""
    return {
        f"{renamed.get(path, path)}.yaml": yaml_text(*declared, comment=head(release, path))
        for path, declared in found.items()
    }


def head(release: Release, path: str) -> str:
    """Return the comment at the top of a file."""
    return (
        f"{path.replace('/', ': ')} of project `{release.project.name}` for target `{release.target_name}`.\n"
        f"Written by windlass {release.version}, with `windlass render {release.target_name}`."
    )
