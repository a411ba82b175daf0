"""The image of a service that Triton or vLLM serves, with models in it: theirs, and one layer more."""

from pathlib import PurePosixPath

from windlass.generate.images.labels import labels
from windlass.generate.images.server import baked
from windlass.generate.text import template
from windlass.release import Release

# What asks these servers whether they are ready, with what their images have.
_READY = {
    "triton": ["curl", "-fsS", "-m", "4", "-o", "/dev/null", "http://127.0.0.1:8000/v2/health/ready"],
    "vllm": [
        "python3",
        "-c",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)",
    ],
}


def dockerfile(release: Release, name: str) -> str:
    """Return the Dockerfile of a service."""
    return template(
        "images/foreign.j2",
        release=release,
        name=name,
        file=PurePosixPath(release.place) / "images" / name / "Dockerfile",
        base=release.origin(name),
        models=contents(release, name),
        user=release.project.image.user,
        ready=_READY[release.service(name).runtime],
        labels=labels(release, name),
    )


def contents(release: Release, name: str) -> dict[str, str]:
    """Return the folders that become part of the image: models, or for vLLM the one it serves."""
    vllm, folder = release.service(name).vllm, release.project.repository.path
    if vllm is None or folder is None:
        return baked(release, name)
    model = vllm.model.removeprefix("./")
    return {model: str(PurePosixPath(folder) / model)}


def ignored(release: Release, name: str) -> str:
    """Return the ignore file: all of the project but the models."""
    head = f"# The build of image `{name}` sees nothing of the project but this."
    return "\n".join([head, "*", *(f"!{path}" for path in contents(release, name).values()), ""])
