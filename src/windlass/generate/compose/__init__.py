"""A release as a Compose project: servers, the gateway before them, what measures them, each confined and limited."""

from collections.abc import Callable

from windlass.config.project import ComposeTarget, Project
from windlass.generate import nginx
from windlass.generate.compose import caches, development, gateway, gpus, logs, models, monitoring, servers
from windlass.generate.compose.container import Mapping
from windlass.generate.compose.networks import networks
from windlass.generate.compose.remote import remote, secret_variable
from windlass.generate.text import Files, yaml_text
from windlass.release import Release

__all__ = ["FILE", "TARGET", "built_images", "files", "project_name", "secret_readers"]

FILE = "compose.yaml"
# The label that tells whose a container is.
TARGET = "windlass.target"


def project_name(project: Project, target: ComposeTarget) -> str:
    """Return the name under which an engine keeps what runs on a target."""
    return target.project or project.name


def files(release: Release) -> Files:
    """Return `compose.yaml` and what it mounts."""
    texts = _texts(release)
    services = _services(release, texts)
    target = release.target
    name = project_name(release.project, target) if isinstance(target, ComposeTarget) else release.project.name
    project: Mapping = {"name": name, "services": services}
    project |= {
        key: value
        for key, value in {
            "networks": networks(release, _used(services)),
            "volumes": _volumes(release, services),
            "secrets": _secrets(release, services),
        }.items()
        if value
    }
    return {FILE: yaml_text(project, comment=_head(release)), **texts}


def _texts(release: Release) -> Files:
    """Return the files that containers mount."""
    texts = {f"gateway/{name}": text for name, text in nginx.files(release).items()}
    return texts | monitoring.files(release) | logs.files(release)


def built_images(release: Release) -> dict[str, str]:
    """Return the images that are built for a project, by the services that run them."""
    services = _services(release, _texts(release))
    return {name: service["image"] for name, service in services.items() if "build" in service}


def secret_readers(release: Release) -> list[tuple[str, int]]:
    """Return every secret that a container reads, with the number of the user who does."""
    found: set[tuple[str, int]] = set()
    for service in _services(release, _texts(release)).values():
        user = int(str(service.get("user", "0")).partition(":")[0])
        found |= {(name, user) for name in service.get("secrets", ())}
    return sorted(found)


def _services(release: Release, texts: Files) -> Mapping:
    found: Mapping = {name: servers.server(release, name) for name in release.project.services}
    parts: list[tuple[bool, str, Callable[[Release], Mapping]]] = [
        (models.fetched(release), models.FETCH, models.fetching),
        (bool(caches.foreign(release)), caches.OWNER, caches.owning),
        (bool(gpus.shared(release)), "mps", gpus.daemon),
    ]
    found |= {name: make(release) for wanted, name, make in parts if wanted}
    if release.project.gateway is not None:
        mounted = {path: text for path, text in texts.items() if path.startswith("gateway/")}
        found = {gateway.NAME: gateway.service(release, release.project.gateway, mounted), **found}
    found |= development.services(release)
    found |= dict(monitoring.services(release)) | dict(logs.services(release))
    own = {TARGET: release.target_name}
    return {name: {**service, "labels": {**service.get("labels", {}), **own}} for name, service in found.items()}


def _used(services: Mapping) -> set[str]:
    return {network for service in services.values() for network in service.get("networks", ())}


def _volumes(release: Release, services: Mapping) -> Mapping:
    mounts = [mount for service in services.values() for mount in service.get("volumes", ())]
    names = sorted({mount["source"] for mount in mounts if mount["type"] == "volume"})
    known = {"models": models.volume(release), "mps": gpus.pipes(release.project.image.user)}
    return {name: known.get(name, {}) for name in names}


def _secrets(release: Release, services: Mapping) -> Mapping:
    """Return where the secrets that containers read are. Their values are in no file that is written here."""
    names = sorted({name for service in services.values() for name in service.get("secrets", ())})
    found: Mapping = {}
    for name in names:
        secret = release.project.secrets[name]
        if secret.file is None:
            found[name] = {"environment": secret.environment}
        elif remote(release):
            found[name] = {"environment": secret_variable(name)}
        else:
            found[name] = {"file": f"{release.root}/{secret.file}"}
    return found


def _head(release: Release) -> str:
    target = release.target_name
    return (
        f"Project `{release.project.name}` for target `{target}`, written by windlass {release.version}.\n"
        f"Run it with `windlass up --target {target}`, or with `docker compose up --detach --build --wait`.\n"
        "Change windlass.yaml and render again, or keep this file and edit it."
    )
