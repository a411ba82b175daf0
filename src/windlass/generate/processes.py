"""A release on this machine without containers: which server processes run, and how each is started."""

import posixpath
from dataclasses import asdict, dataclass, field

from windlass.config.project.service import SecretReference
from windlass.config.project.target import LocalTarget
from windlass.generate.command import Door, command, command_of_all
from windlass.generate.text import Files, yaml_text
from windlass.release import Release

# Ports of one server and the next.
PORTS_APART = 10


@dataclass(frozen=True, slots=True)
class Process:
    """One server process. ``secrets`` are variables whose values are read when it starts, by the secret's name."""

    name: str
    service: str
    words: tuple[str, ...]
    http_port: int
    grpc_port: int
    metrics_port: int
    host: str
    drain_s: float
    startup_s: float
    environment: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where it answers REST."""
        return f"http://{self.host}:{self.http_port}"


def files(release: Release) -> Files:
    """Return the list of processes, to be read."""
    comment = (
        f"The server processes of project {release.project.name} on target {release.target_name}.\n"
        f"Made by `windlass render {release.target_name}`; `windlass up` starts and supervises them.\n"
        "Run one by hand, from this folder, by its words."
    )
    return {"processes.yaml": yaml_text([_plain(process) for process in processes(release)], comment=comment)}


def _plain(process: Process) -> dict[str, object]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(process).items() if value}


def processes(release: Release) -> list[Process]:
    """Return every process of a release whose target is local, in the order of their ports."""
    target = release.target
    if not isinstance(target, LocalTarget):
        raise ValueError("this is a bug in windlass: processes are asked for of a target that is not local")
    services = release.project.services
    if target.processes == "one":
        return [_process(release, target, release.project.name, list(services), 0)]
    # The first replica of every service comes first: the ports of one do not move when another is scaled.
    return sorted(
        (
            _process(release, target, f"{name}-{number + 1}", [name], index + number * len(services))
            for index, (name, service) in enumerate(services.items())
            for number in range(service.replicas)
        ),
        key=lambda process: process.http_port,
    )


def _process(release: Release, target: LocalTarget, name: str, services: list[str], index: int) -> Process:
    ports = [port + PORTS_APART * index for port in (target.http_port, target.grpc_port, target.metrics_port)]
    repository = posixpath.join(release.root, release.project.repository.path or "")
    door = Door(repository, target.host, *ports)
    values = [release.project.services[service] for service in services]
    environment = {name: value for one in values for name, value in one.environment.items()}
    return Process(
        name=name,
        service=", ".join(services),
        words=tuple(command(release, services[0], door) if len(services) == 1 else command_of_all(release, door)),
        http_port=ports[0],
        grpc_port=ports[1],
        metrics_port=ports[2],
        host=target.host,
        drain_s=max(value.drain for value in values),
        startup_s=max(value.startup for value in values),
        environment={
            key: _shown(value) for key, value in environment.items() if not isinstance(value, SecretReference)
        },
        secrets={key: value.secret for key, value in environment.items() if isinstance(value, SecretReference)},
    )


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
