"""A Compose file after reading: one spelling for everything that may be written in several."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a container, and where it was published."""

    target: int
    published: int | None = None
    protocol: str = "TCP"
    host: str = ""


@dataclass(frozen=True, slots=True)
class Mount:
    """Something that is seen inside a container. ``source`` is a volume's name or a path of the host."""

    kind: Literal["volume", "bind", "tmpfs"]
    target: str
    source: str = ""
    read_only: bool = False
    sub_path: str = ""
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A secret or config that a service sees as a file. ``key`` is its name in there, where that is another."""

    source: str
    target: str
    mode: int | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """A health check: a command, or a request where the command was one. Times in seconds."""

    command: tuple[str, ...] = ()
    path: str = ""
    port: int = 0
    scheme: str = "HTTP"
    interval_s: float = 30.0
    timeout_s: float = 30.0
    retries: int = 3
    start_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Resources:
    """What a container may use, and what is kept for it. ``gpus`` of -1 are all there are."""

    cpus: float | None = None
    memory: int | None = None
    reserved_cpus: float | None = None
    reserved_memory: int | None = None
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a container may do."""

    user: int | None = None
    group: int | None = None
    groups: tuple[int, ...] = ()
    read_only: bool = False
    privileged: bool = False
    no_new_privileges: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    seccomp: str = ""
    sysctls: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the file."""

    name: str
    image: str
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    working_dir: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    secret_environment: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    mounts: tuple[Mount, ...] = ()
    secrets: tuple[File, ...] = ()
    configs: tuple[File, ...] = ()
    health: Health | None = None
    after: dict[str, str] = field(default_factory=dict)
    resources: Resources = Resources()
    confinement: Confinement = Confinement()
    replicas: int = 1
    everywhere: bool = False
    restart: str = "always"
    grace_s: float = 10.0
    shm_bytes: int | None = None
    networks: tuple[str, ...] = ("default",)
    aliases: tuple[str, ...] = ()
    host_network: bool = False
    hostname: str = ""
    host_aliases: dict[str, str] = field(default_factory=dict)
    dns: tuple[str, ...] = ()
    node_labels: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    runtime_class: str = ""
    pull: str = ""
    terminal: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """A secret or config of the file: where its content is. ``content`` is that of configs only."""

    name: str
    external: bool = False
    real_name: str = ""
    file: str = ""
    environment: str = ""
    content: str | None = None


@dataclass(frozen=True, slots=True)
class ComposeFile:
    """The whole file. ``volumes`` are those with names: the claim each stands for, and whether it exists already."""

    name: str
    services: dict[str, Service]
    volumes: dict[str, tuple[str, bool]] = field(default_factory=dict)
    internal_networks: frozenset[str] = frozenset()
    secrets: dict[str, Kept] = field(default_factory=dict)
    configs: dict[str, Kept] = field(default_factory=dict)
