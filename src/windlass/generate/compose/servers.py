"""The services of a project as Compose's: what they run, see and may use, and when they are ready."""

from pathlib import PurePosixPath

from windlass.config.project import Service
from windlass.config.project.service import SecretReference
from windlass.generate.command import KEEPING, command
from windlass.generate.compose import caches, gpus, models
from windlass.generate.compose.container import Mapping, confined, limits, logging, sandboxed, size
from windlass.generate.compose.networks import of_server
from windlass.release import Release

# What a server needs beyond its drain to end: closing files, and its model processes.
GRACE_S = 10.0
_TRITON_ENTRY = "/opt/nvidia/nvidia_entrypoint.sh"


def server(release: Release, name: str) -> Mapping:
    """Return the Compose service of a project's service."""
    service = release.project.services[name]
    user = release.project.image.user
    secrets = secret_names(service)
    return {
        **_image(release, name),
        **_start(release, name, service),
        # windlass does as the first process of a container what `init` would; others may not.
        **({} if service.runtime == "windlass" else {"init": True}),
        "restart": "unless-stopped",
        **confined(release, user=f"{user}:{user}", secrets=secrets, tmp="1g"),
        **sandboxed(release),
        "environment": _environment(service),
        **({"secrets": list(secrets)} if secrets else {}),
        **_memory(service),
        "volumes": _volumes(release, name, service),
        "healthcheck": _health(service),
        **_after(release, name, service),
        "deploy": _deploy(release, service),
        "stop_grace_period": _duration(service.drain + GRACE_S),
        **of_server(release, name),
        "logging": logging(release, name),
    }


def secret_names(service: Service) -> tuple[str, ...]:
    """Return the secrets that a service's server reads."""
    named = [value.secret for value in service.environment.values() if isinstance(value, SecretReference)]
    if service.vllm and service.vllm.token:
        named.append(service.vllm.token)
    return tuple(sorted(set(named)))


def replicas(service: Service) -> int:
    """Return how many servers run: Compose cannot follow the load."""
    return service.autoscale.min if service.autoscale else service.replicas


def _image(release: Release, name: str) -> Mapping:
    found: Mapping = {"image": release.image(name)}
    if release.built(name):
        found["build"] = {"context": release.root, "dockerfile": dockerfile(release, name)}
    return found


def dockerfile(release: Release, name: str) -> str:
    """Return the path of a service's Dockerfile, from the project file's folder, where builds begin."""
    return str(PurePosixPath(release.place) / "images" / name / "Dockerfile")


def _start(release: Release, name: str, service: Service) -> Mapping:
    """Return the command; through a shell where the environment holds secrets, which are read from their files."""
    words = [word.replace("$", "$$") for word in command(release, name, KEEPING)]
    secrets = _secret_variables(service)
    if secrets:
        entry = [_TRITON_ENTRY] if service.runtime == "triton" else []
        script = "".join(f"{key}=$$(cat /run/secrets/{secret}); export {key}; " for key, secret in secrets.items())
        return {"entrypoint": ["/bin/sh", "-euc", f'{script}exec "$$@"', "sh"], "command": [*entry, *words]}
    # Triton's image prepares the driver's libraries in its own entry point.
    if service.runtime == "triton":
        return {"command": words}
    return {"entrypoint": words[:2], "command": words[2:]}


def _secret_variables(service: Service) -> dict[str, str]:
    found = {key: value.secret for key, value in service.environment.items() if isinstance(value, SecretReference)}
    if service.vllm and service.vllm.token:
        found["HF_TOKEN"] = service.vllm.token
    return found


def _environment(service: Service) -> Mapping:
    given = {key: value for key, value in service.environment.items() if not isinstance(value, SecretReference)}
    shown = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in given.items()}
    sharing = gpus.client(service.gpus) if service.gpus and service.gpus.share == "mps" else {}
    return {**caches.environment(service), **sharing, **{key: text.replace("$", "$$") for key, text in shown.items()}}


def _memory(service: Service) -> Mapping:
    """Return the memory that processes of the server share; with MPS it is the daemon's."""
    if service.gpus and service.gpus.share == "mps":
        return {"ipc": "service:mps"}
    return {"shm_size": size(service.shared_memory)}


def _volumes(release: Release, name: str, service: Service) -> list[Mapping]:
    pipes = [{"type": "volume", "source": "mps", "target": gpus.PIPES}]
    sharing = pipes if service.gpus and service.gpus.share == "mps" else []
    return [*models.mount(release, service), caches.mount(name), *sharing]


def _health(service: Service) -> Mapping:
    ready = "http://127.0.0.1:8000/health" if service.runtime == "vllm" else "http://127.0.0.1:8000/v2/health/ready"
    asked = f"import urllib.request; urllib.request.urlopen('{ready}', timeout=4)"
    curl = ["CMD", "curl", "-fsS", "-m", "4", "-o", "/dev/null", ready]
    test = {"windlass": ["CMD", "python", "-c", asked], "triton": curl, "vllm": ["CMD", "python3", "-c", asked]}
    return {
        "test": test[service.runtime],
        "interval": "5s",
        "timeout": "5s",
        "retries": 3,
        "start_period": _duration(service.startup),
        "start_interval": "1s",
    }


def _after(release: Release, name: str, service: Service) -> Mapping:
    done: Mapping = {"condition": "service_completed_successfully"}
    found: Mapping = {}
    if models.fetched(release) and models.mount(release, service):
        found[models.FETCH] = done
    if name in caches.foreign(release):
        found[caches.OWNER] = done
    if service.gpus and service.gpus.share == "mps":
        found["mps"] = {"condition": "service_healthy"}
    return {"depends_on": found} if found else {}


def _deploy(release: Release, service: Service) -> Mapping:
    resources: Mapping = {"limits": limits(release, cpus=service.cpus, memory=service.memory)}
    if service.gpus:
        resources["reservations"] = gpus.reservation(service.gpus)
    return {"replicas": replicas(service), "resources": resources}


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms" if seconds % 1 else f"{seconds:.0f}s"
