"""The value that everything is generated from. Nothing is read here: no file, no clock, no environment."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from windlass.config.project import Project, Service
from windlass.config.project.service import Backend
from windlass.config.project.target import Target

# The images of other runtimes, where a project names no other release of them.
IMAGES = {"triton": "nvcr.io/nvidia/tritonserver:25.10-py3", "vllm": "vllm/vllm-openai:v0.11.0"}
# The image and container to work on models in; no service has this name.
DEVELOPMENT = "development"


def lock(image: str) -> str:
    """Return where the lock of an image is, relative to the project file: its Python packages, with digests."""
    return f"locks/{image}.txt"


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it lies in the repository."""

    name: str
    backends: tuple[str, ...]
    versions: tuple[int, ...]
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Release:
    """A project as it is on one target, and what its services serve.

    ``models`` are those of each service, found in the repository where that is a folder; empty for a service whose
    repository is somewhere else. ``inputs`` are digests of files that images are made of, by their path in the
    project (requirements, wheels, locks). ``root`` is the path from the folder that is written to that of the project
    file, ``place`` the way back.
    """

    project: Project
    target_name: str
    version: str
    """The version of windlass that writes."""
    models: Mapping[str, tuple[Model, ...]] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    revision: str = ""
    root: str = "."
    place: str = "."
    siblings: "tuple[Release, ...]" = ()
    """The same project on other targets whose files form a tree with those of this one."""

    @property
    def target(self) -> Target:
        """Where it runs."""
        return self.project.targets[self.target_name]

    def service(self, name: str) -> Service:
        """Return a service; under the name of the development image one that has the backends of all."""
        if name != DEVELOPMENT or self.project.development is None:
            return self.project.services[name]
        served = [one for one, value in self.project.services.items() if value.runtime == "windlass"]
        found = {backend for one in served for backend in self.backends(one)}
        backends: list[Backend] = [one for one in get_args(Backend) if one in found]
        return Service(backends=tuple(backends), gpus=self.project.development.gpus)

    def requirements(self, name: str) -> tuple[str, ...]:
        """Return the requirements files of an image; those of all services for the development image."""
        named = self.project.services.values() if name == DEVELOPMENT else (self.service(name),)
        return tuple(sorted({value.requirements for value in named if value.requirements}))

    def built(self, service: str) -> bool:
        """Tell whether the service's image is one that the project builds."""
        value = self.service(service)
        return value.image is None and (value.runtime == "windlass" or value.bake)

    def image(self, service: str) -> str:
        """Return the full name of a service's image."""
        if not self.built(service):
            return self.origin(service)
        registry = f"{self.project.image.registry}/" if self.project.image.registry else ""
        return f"{registry}{self.project.name}-{service}:{self.tag(service)}"

    def origin(self, service: str) -> str:
        """Return the image of another runtime, which is run as it is or gets the models."""
        value = self.service(service)
        return value.image or IMAGES[value.runtime]

    def tag(self, service: str) -> str:
        """Return the tag of a service's image: the project's, or a digest of all that the image is made of."""
        if self.project.image.tag:
            return self.project.image.tag
        value = self.service(service)
        development = self.project.development
        made_of = {
            "image": self.project.image.model_dump(mode="json"),
            "backends": self.backends(service),
            "requirements": value.requirements,
            **(
                {"tools": development.model_dump(mode="json"), "all": self.requirements(service)}
                if development and service == DEVELOPMENT
                else {}
            ),
            "gpu": value.gpus is not None,
            "runtime": value.runtime,
            "windlass": self.version,
            "inputs": self.inputs_of(service),
            "models": [model.digest for model in self.models.get(service, ())] if value.bake else [],
        }
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:12]

    def inputs_of(self, service: str) -> dict[str, str]:
        """Return the digests of the files that a service's image is made of."""
        image = self.project.image
        paths = (*self.requirements(service), image.windlass, image.conda, lock(service))
        return {path: self.inputs[path] for path in paths if path is not None and path in self.inputs}

    def backends(self, service: str) -> tuple[str, ...]:
        """Return the backends that a service's image needs: those it names, and those of its models."""
        value = self.service(service)
        found = {backend for model in self.models.get(service, ()) for backend in model.backends}
        return tuple(sorted(found | set(value.backends)))
