"""``windlass.yaml``: what a team wants of its models. Texts become frozen values here; nothing is done with them."""

from windlass.config.project.project import Project
from windlass.config.project.service import Service
from windlass.config.project.source import FILE, ProjectError, Source, read_project
from windlass.config.project.target import ComposeTarget, KubernetesTarget, LocalTarget

__all__ = [
    "FILE",
    "ComposeTarget",
    "KubernetesTarget",
    "LocalTarget",
    "Project",
    "ProjectError",
    "Service",
    "Source",
    "read_project",
]
