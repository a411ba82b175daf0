"""The containers to work on models in: Jupyter Lab, and SSH for editors, on this machine's own address only."""

from windlass.config.project.development import Development
from windlass.generate.compose import caches, gpus
from windlass.generate.compose.container import Mapping, confined, limits, logging
from windlass.generate.compose.networks import privates
from windlass.generate.compose.servers import dockerfile
from windlass.generate.images import development as image
from windlass.release import DEVELOPMENT, Release

SSH = f"{DEVELOPMENT}-ssh"


def services(release: Release) -> Mapping:
    """Return the services of the project's development: none, one or two."""
    wanted = release.project.development
    found: Mapping = {}
    if wanted is not None and wanted.jupyter:
        ports = [f"127.0.0.1:{wanted.jupyter_port}:{image.JUPYTER_PORT}"]
        more: Mapping = {"secrets": [wanted.token]} if wanted.token else {}
        found[DEVELOPMENT] = {**_container(release, wanted), "command": image.JUPYTER, "ports": ports, **more}
    if wanted is not None and wanted.ssh:
        ports = [f"127.0.0.1:{wanted.ssh.port}:{image.SSH_PORT}"]
        keys: Mapping = {"type": "bind", "source": f"{release.root}/{wanted.ssh.authorized_keys}"}
        keys |= {"target": image.AUTHORIZED_KEYS, "read_only": True, "bind": {"create_host_path": False}}
        container = _container(release, wanted)
        container["volumes"] = [*container["volumes"], keys]
        # Compose reads `$$` as `$`.
        words = [word.replace("$", "$$") for word in image.SSH]
        found[SSH] = {**container, "command": words, "ports": ports, "healthcheck": {"disable": True}}
    return found


def _container(release: Release, wanted: Development) -> Mapping:
    user = release.project.image.user
    resources: Mapping = {"limits": limits(release)}
    if wanted.gpus:
        resources["reservations"] = gpus.reservation(wanted.gpus)
    return {
        "image": release.image(DEVELOPMENT),
        "build": {"context": release.root, "dockerfile": dockerfile(release, DEVELOPMENT)},
        "init": True,
        "restart": "unless-stopped",
        **confined(release, user=f"{user}:{user}", tmp="1g"),
        "volumes": _volumes(release),
        "deploy": {"resources": resources},
        # It reaches the servers by their names, and indexes of packages.
        "networks": [*privates(release), "outside"],
        "logging": logging(release, DEVELOPMENT),
    }


def _volumes(release: Release) -> list[Mapping]:
    """Return the models, which are written here, and what tools keep."""
    folder = release.project.repository.path
    models: Mapping = {"type": "volume", "source": "models", "target": "/models"}
    if folder is not None:
        models = {"type": "bind", "source": f"{release.root}/{folder}", "target": "/models"}
        models["bind"] = {"create_host_path": False}
    return [models, caches.mount(DEVELOPMENT)]
