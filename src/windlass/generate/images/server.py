"""The image of a service that windlass serves: dependencies, windlass and models in layers of their own."""

from pathlib import PurePosixPath
from typing import Any

from windlass.generate.compose import caches
from windlass.generate.images import bases, needs
from windlass.generate.images.labels import labels
from windlass.generate.text import template
from windlass.release import Release, lock

# Python without its site packages, and no more of the library than a connection: it runs every few seconds.
_ASK = "from http.client import HTTPConnection as To; c = To('127.0.0.1', 8000, timeout=4); "
_SAY = "c.request('GET', '/v2/health/ready'); raise SystemExit(c.getresponse().status != 200)"
READY = ["python", "-I", "-S", "-c", _ASK + _SAY]


def dockerfile(release: Release, name: str) -> str:
    """Return the Dockerfile of a service."""
    return template("images/server.j2", **values(release, name))


def values(release: Release, name: str) -> dict[str, Any]:
    """Return what the template of a service's Dockerfile is filled with."""
    project = release.project
    wheel = needs.wheel_file(release)
    return {
        "release": release,
        "name": name,
        "file": PurePosixPath(release.place) / "images" / name / "Dockerfile",
        "base": bases.base(release, name),
        "interpreter": bases.python(release) if bases.lacks_python(release, name) else None,
        "conda": project.image.conda,
        "micromamba": bases.CONDA,
        "asked": needs.asked(release, name),
        "requirements": release.requirements(name),
        "lock": lock(name),
        "wheel": wheel,
        "wheel_in_build": f"{needs.WHEELS}/{PurePosixPath(wheel).name}" if wheel else None,
        "index": project.image.index,
        "packages": sorted(project.image.system_packages),
        "user": project.image.user,
        "models": baked(release, name),
        "environment": caches.ENVIRONMENT,
        "ready": READY,
        "development": None,
        "labels": labels(release, name),
    }


def baked(release: Release, name: str) -> dict[str, str]:
    """Return the folders that become part of the image, by the model's name."""
    folder = release.project.repository.path
    if not release.service(name).bake or folder is None:
        return {}
    return {model.name: str(PurePosixPath(folder) / model.name) for model in release.models.get(name, ())}


def ignored(release: Release, name: str) -> str:
    """Return the ignore file: all of the project but what the image is made of, so that nothing else can get in."""
    inputs = [
        lock(name),
        *release.requirements(name),
        needs.wheel_file(release),
        release.project.image.conda,
    ]
    seen = [path for path in inputs if path] + list(baked(release, name).values())
    head = f"# The build of image `{name}` sees nothing of the project but this."
    return "\n".join([head, "*", *(f"!{PurePosixPath(path)}" for path in seen), "**/__pycache__", ""])
