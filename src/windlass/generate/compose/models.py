"""Where containers find models: a folder or volume that is mounted read-only, a bucket fetched first, or the image."""

import hashlib

from windlass.config.project import Service
from windlass.generate import fetch
from windlass.generate.compose.container import Mapping, confined, limits, logging
from windlass.generate.compose.remote import remote
from windlass.release import Release

FETCH = "fetch-models"
_MODELS = "/models"


def mount(release: Release, service: Service) -> list[Mapping]:
    """Return the mount of the repository; none where the models are in the image."""
    repository = release.project.repository
    if service.bake or (service.vllm is not None and not service.vllm.model.startswith("./")):
        return []
    if repository.path is not None and not remote(release):
        source = f"{release.root}/{repository.path}"
        # Docker would make a folder that is not there, and models would be missing in silence.
        bind: Mapping = {"type": "bind", "source": source, "target": _MODELS, "read_only": True}
        return [bind | {"bind": {"create_host_path": False}}]
    return [{"type": "volume", "source": "models", "target": _MODELS, "read_only": True}]


def fetched(release: Release) -> bool:
    """Tell whether models come from a bucket."""
    services = release.project.services.values()
    return release.project.repository.url is not None and any(mount(release, service) for service in services)


def fetching(release: Release) -> Mapping:
    """Return the service that fetches models from their bucket and verifies them, and ends."""
    repository = release.project.repository
    names = (repository.credentials,) if repository.credentials else ()
    secret = f"/run/secrets/{repository.credentials}" if repository.credentials else None
    return {
        "#fetch": "Runs to its end before servers start. What is there already is compared, not copied again.\n"
        "The volume belongs to root, which has no capability here, and nobody else may write to it.",
        "image": fetch.IMAGE,
        "entrypoint": ["/bin/sh", "-c"],
        "command": [fetch.script(repository, secret=secret).replace("$", "$$")],
        "init": True,
        "restart": "on-failure:3",
        **confined(release, user="0:0", secrets=names),
        "environment": {"HOME": "/tmp"},
        **({"secrets": list(names)} if names else {}),
        "volumes": [{"type": "volume", "source": "models", "target": _MODELS}],
        "deploy": {"resources": {"limits": limits(release, memory=2**30)}},
        "networks": ["outside"],
        "logging": logging(release, FETCH),
    }


def volume(release: Release) -> Mapping:
    """Return the volume that holds the repository: one that exists, or one that is filled."""
    name = release.project.repository.volume
    if name:
        return {"name": name, "external": True}
    carried = carried_volume(release)
    return {"name": carried} if carried else {}


def carried_volume(release: Release) -> str | None:
    """Return the name of the volume that a folder is carried into for an engine on another machine.

    It tells what is in it: other models are another volume, and servers that read the old one keep it.
    """
    if release.project.repository.path is None or not remote(release):
        return None
    digests = sorted(model.digest for some in release.models.values() for model in some)
    return f"{release.project.name}-models-{hashlib.sha256(' '.join(digests).encode()).hexdigest()[:12]}"
