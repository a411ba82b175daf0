"""Rules of one machine with Docker Compose: names and ports are shared by all that runs there."""

from collections.abc import Iterator

from pydantic import TypeAdapter

from windlass.config.project.project import Project
from windlass.config.project.quantities import Bytes
from windlass.config.project.service import Service
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
    yield from _quotas(project)


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


def _quotas(project: Project) -> Iterator[Fault]:
    """Only the limits of its containers hold a tenant to its quota on one machine: they must fit, and be there."""
    for tenant, value in project.tenants.items():
        services = {name: one for name, one in project.services.items() if one.tenant == tenant}
        memory = TypeAdapter(Bytes).validate_python(value.quota.memory) if value.quota.memory else None
        for kind, most in (("cpus", value.quota.cpus), ("memory", memory), ("gpus", value.quota.gpus)):
            if most is None:
                continue
            for name, one in services.items():
                if kind != "gpus" and getattr(one, kind) is None:
                    message = f"tenant `{tenant}` has a quota of `{kind}`, and this service no limit"
                    yield ("services", name), message, f"say `{kind}`", "error"
            used = sum(_used(one, kind) for one in services.values())
            if used > most:
                message = f"the services of tenant `{tenant}` may use {used:g} together, its quota is {most:g}"
                yield ("tenants", tenant, "quota", kind), message, "raise it, or lower their limits", "error"


def _used(service: Service, kind: str) -> float:
    replicas = service.autoscale.min if service.autoscale else service.replicas
    each = (service.gpus.number if service.gpus else 0) if kind == "gpus" else getattr(service, kind) or 0
    return float(replicas * each)
