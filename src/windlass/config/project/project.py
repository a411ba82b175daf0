"""The whole project file as a value."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from windlass.config.project.development import Development
from windlass.config.project.gateway import Gateway
from windlass.config.project.image import Image
from windlass.config.project.observability import Observability
from windlass.config.project.part import Part
from windlass.config.project.quantities import Name
from windlass.config.project.repository import Repository
from windlass.config.project.rollout import Rollout
from windlass.config.project.security import Secret, Security, Tenant
from windlass.config.project.service import Service
from windlass.config.project.target import LocalTarget, Target


def _short(value: Any) -> Any:
    """A repository may be written as one word: a folder or a URL."""
    if isinstance(value, str):
        return {"url" if "://" in value else "path": value}
    return value


class Project(Part):
    """What a team wants of its models: which are served together, on what, behind which door, where."""

    name: Name
    """The name of the project: part of the names of images, containers and Kubernetes objects."""
    repository: Annotated[
        Repository,
        BeforeValidator(_short, json_schema_input_type=Repository | str),
    ] = Repository(path="models")
    """Where the models are: a folder, a URL, or a mapping."""
    services: dict[Name, Service] = Field(default={"models": Service()}, min_length=1)
    """Groups of models that are deployed, scaled and limited together."""
    gateway: Gateway | None = None
    """One door for all services."""
    image: Image = Image()
    """The images that are built."""
    development: Development | None = None
    """A place to work on models."""
    observability: Observability = Observability()
    """What is measured, shown, shipped and alarmed."""
    security: Security = Security()
    """How containers are confined."""
    secrets: dict[Name, Secret] = {}
    """Where secrets are, by name."""
    tenants: dict[Name, Tenant] = {}
    """Who is kept apart from whom."""
    rollout: Rollout = Rollout()
    """How one release takes the place of another."""
    targets: dict[Name, Target] = Field(default={"local": LocalTarget(kind="local")}, min_length=1)
    """Where the project runs, by name. The first is the one that is meant where none is named."""
