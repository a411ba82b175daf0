"""Rules of one machine with Docker Compose: names and ports are shared by all that runs there."""

from collections.abc import Iterator

from windlass.config.project.project import Project
from windlass.config.project.target import ComposeTarget
from windlass.config.yaml_text import Place

Fault = tuple[Place, str, str, str]

# What runs beside the services, by the names that containers have.
BESIDE = frozenset(
    [
        "gateway",
        "prometheus",
        "alertmanager",
        "grafana",
        "dcgm",
        "cadvisor",
        "fluent-bit",
        "fluentd",
        "filebeat",
        "elasticsearch",
        "kibana",
        "mps",
        "fetch-models",
        "own-caches",
        "development",
    ]
)


def compose_faults(project: Project, target: str, secrets: Iterator[tuple[Place, str]]) -> Iterator[Fault]:
    """Yield what cannot be had on a Compose target; ``secrets`` are the places that name one."""
    if not isinstance(project.targets[target], ComposeTarget):
        return
    for name in project.services.keys() & BESIDE:
        message = f"a container named `{name}` runs beside the services"
        yield ("services", name), message, "give the service another name", "error"
    for place, name in secrets:
        secret = project.secrets.get(name)
        # A cluster keeps the backups of a volume; a machine's are its owner's.
        if secret and secret.file is None and secret.environment is None and place[:2] != ("repository", "backup"):
            message = f"target `{target}` reads secrets from files and the environment, and `{name}` is in neither"
            yield place, message, f"add `file` or `environment` under `secrets.{name}`", "error"
    yield from _ports(project)
    yield from _observed(project)


def _ports(project: Project) -> Iterator[Fault]:
    """Everything that is published on this machine has a port of its own."""
    seen: dict[int, Place] = {}
    for place, port in _published(project):
        first = seen.setdefault(port, place)
        if first != place:
            message = f"port {port} is `{'.'.join(map(str, first))}` already"
            yield place, message, "say another one", "error"


def _published(project: Project) -> Iterator[tuple[Place, int]]:
    gateway, observed, development = project.gateway, project.observability, project.development
    if gateway:
        yield ("gateway", "port"), gateway.port
        if gateway.tls is None:
            yield ("gateway", "grpc_port"), gateway.grpc_port
    if observed.prometheus:
        yield ("observability", "prometheus", "port"), observed.prometheus.port
        if observed.grafana:
            yield ("observability", "grafana", "port"), observed.grafana.port
    if development and development.jupyter:
        yield ("development", "jupyter_port"), development.jupyter_port
    if development and development.ssh:
        yield ("development", "ssh", "port"), development.ssh.port


def _observed(project: Project) -> Iterator[Fault]:
    observed = project.observability
    for part in ("grafana", "alerts"):
        if getattr(observed, part) and observed.prometheus is None:
            message = "there are no figures without Prometheus on this target"
            yield ("observability", part), message, "add `prometheus: {}` beside it", "error"
    if observed.logs.ship in ("fluent-bit", "fluentd") and observed.logs.to is None:
        message = f"`{observed.logs.ship}` carries lines to somebody, and nobody is named"
        hint = "say `to: http://host:9200` or `to: forward://host:24224`"
        yield ("observability", "logs", "to"), message, hint, "error"
