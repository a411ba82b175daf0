"""Models go to an engine on another machine: into a volume whose name is the digest of what is in it."""

from pathlib import Path

from windlass.errors import TargetError
from windlass.generate.compose import models
from windlass.release import Release
from windlass.targets.docker.engine import Docker
from windlass.targets.target import Progress

_MARK = "carried"


def carry_models(docker: Docker, release: Release, project_folder: Path, folder: Path, progress: Progress) -> None:
    """Copy the repository into its volume, unless all of it is there. Nothing where it is no folder of this machine."""
    volume, path = models.carried_volume(release), release.project.repository.path
    readers = [name for name, service in release.project.services.items() if models.mount(release, service)]
    if volume is None or path is None or not readers:
        return
    labels = {"com.docker.compose.project": release.project.name, "com.docker.compose.volume": "models"}
    docker.run("volume", "create", *(f"--label={key}={value}" for key, value in labels.items()), volume)
    holder = docker.run("container", "create", f"--volume={volume}:/models", release.image(readers[0])).strip()
    try:
        if not _complete(docker, holder):
            progress(f"carrying {path} to the engine")
            docker.run("cp", f"{project_folder / path}/.", f"{holder}:/models")
            mark = folder / _MARK
            mark.write_text(volume)
            docker.run("cp", str(mark), f"{holder}:/models/.{_MARK}")
    finally:
        docker.run("rm", "--force", holder)


def drop_older(docker: Docker, release: Release) -> None:
    """Remove volumes with models of releases that run no more."""
    volume = models.carried_volume(release)
    older = f"{release.project.name}-models-"
    for name in docker.left("volume", release.project.name) if volume else ():
        if name.startswith(older) and name != volume:
            docker.run("volume", "rm", "--force", name)


def _complete(docker: Docker, holder: str) -> bool:
    try:
        docker.run("cp", f"{holder}:/models/.{_MARK}", "-")
    except TargetError:
        return False
    return True
