"""The Dockerfile of every image that a project builds, and beside it what its build may see of the project."""

from windlass.generate.images import development, foreign, server
from windlass.generate.text import Files
from windlass.release import DEVELOPMENT, Release

__all__ = ["dockerfile", "files", "names"]


def names(release: Release) -> list[str]:
    """Return the services whose images are built, and the development image where there is one."""
    found = [name for name in release.project.services if release.built(name)]
    return [*found, DEVELOPMENT] if release.project.development else found


def files(release: Release) -> Files:
    """Return `images/SERVICE/Dockerfile` and its ignore file for every image that is built."""
    found: Files = {}
    for name in names(release):
        write = server if release.service(name).runtime == "windlass" else foreign
        path = dockerfile(name)
        found[path] = development.dockerfile(release) if name == DEVELOPMENT else write.dockerfile(release, name)
        # BuildKit looks for the ignore file of a Dockerfile by this name, before the project's own.
        found[f"{path}.dockerignore"] = write.ignored(release, name)
    return found


def dockerfile(name: str) -> str:
    """Return where the Dockerfile of an image is, in the folder that is written to."""
    return f"images/{name}/Dockerfile"
