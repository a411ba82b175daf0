"""Where a release runs: here as processes, through Docker Compose, or on Kubernetes. Texts come from ``generate``."""

from pathlib import Path

from windlass.config.project import ComposeTarget, LocalTarget, Project
from windlass.targets.target import Progress, Replica, Running

__all__ = ["STATE", "Progress", "Replica", "Running", "open_target"]

# Beside the project file: what was rendered and what runs, a folder for each target.
STATE = ".windlass"


def open_target(project: Project, name: str, folder: Path) -> Running:
    """Return what runs a project on one of its targets. ``folder`` is that of the project file."""
    target = project.targets[name]
    state = folder / STATE / name
    if isinstance(target, LocalTarget):
        from windlass.targets.processes.local import LocalProcesses

        return LocalProcesses(state, folder)
    if isinstance(target, ComposeTarget):
        from windlass.targets.docker.compose import ComposeProject

        return ComposeProject(project, name, state, folder)
    from windlass.targets.cluster.kubernetes import Cluster

    return Cluster(project, name, state, folder)
