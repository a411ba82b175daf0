"""The container of a service: image, words, variables, resources, probes, what it may do."""

from typing import Any

from windlass.config.compose import Service
from windlass.config.compose.values import Health

_PULL = {"always": "Always", "never": "Never", "missing": "IfNotPresent", "if_not_present": "IfNotPresent"}


def container(service: Service, mounts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the container; ``mounts`` are where it sees the pod's volumes."""
    ports = sorted({(port.target, port.protocol) for port in service.ports})
    made: dict[str, Any] = {
        "name": service.name,
        "image": service.image,
        "imagePullPolicy": _PULL.get(service.pull),
        "command": list(service.entrypoint) if service.entrypoint else None,
        "args": list(service.command) if service.command is not None else None,
        "workingDir": service.working_dir or None,
        "stdin": service.terminal or None,
        "tty": service.terminal or None,
        **_environment(service),
        "ports": [
            {"name": f"{protocol.lower()}-{port}", "containerPort": port, "protocol": protocol}
            for port, protocol in ports
        ],
        "resources": _resources(service),
        **_probes(service),
        "securityContext": _security(service),
        "volumeMounts": mounts,
    }
    # A command of no words is one; every other empty thing was not said.
    return {key: value for key, value in made.items() if value not in (None, [], {}) or (key == "args" and value == [])}


def _probes(service: Service) -> dict[str, Any]:
    """Return the probes of a service's health check; without one a port that takes connections has to do."""
    if service.health:
        return probes(service.health)
    port = next((port.target for port in service.ports if port.protocol == "TCP"), None)
    return {"readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 5}} if port else {}


def probes(health: Health) -> dict[str, Any]:
    """Return the probes that a health check stands for.

    A Compose health check only tells; here it keeps traffic away at once, and restarts a container that fails long.
    """
    if health.path:
        asks: dict[str, Any] = {"httpGet": {"path": health.path, "port": health.port, "scheme": health.scheme}}
    else:
        asks = {"exec": {"command": list(health.command)}}
    period, timeout = max(1, round(health.interval_s)), max(1, round(health.timeout_s))
    made = {
        "readinessProbe": {
            **asks,
            "periodSeconds": period,
            "timeoutSeconds": timeout,
            "failureThreshold": health.retries,
        },
        "livenessProbe": {
            **asks,
            "periodSeconds": period,
            "timeoutSeconds": timeout,
            "failureThreshold": max(3, 2 * health.retries),
        },
    }
    # While it starts a container may fail: for the time that the file gives it, and the retries after that.
    often = max(1, min(period, 5))
    budget = health.start_s + health.interval_s * health.retries
    return {
        "startupProbe": {
            **asks,
            "periodSeconds": often,
            "timeoutSeconds": timeout,
            "failureThreshold": max(3, round(budget / often)),
        },
        **made,
    }


def _environment(service: Service) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if service.environment:
        made["envFrom"] = [{"configMapRef": {"name": f"{service.name}-environment"}}]
    if service.secret_environment:
        made["env"] = [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": f"{service.name}-environment", "key": name}}}
            for name in service.secret_environment
        ]
    return made


def _resources(service: Service) -> dict[str, Any]:
    """Return what is kept for a container and what it may use; with a limit only, that much is kept."""
    given = service.resources
    limits: dict[str, Any] = {}
    requests: dict[str, Any] = {}
    if given.cpus is not None:
        limits["cpu"] = _cores(given.cpus)
    if given.memory is not None:
        limits["memory"] = _memory(given.memory)
    if given.reserved_cpus is not None:
        requests["cpu"] = _cores(given.reserved_cpus)
    if given.reserved_memory is not None:
        requests["memory"] = _memory(given.reserved_memory)
    if given.gpus:
        limits["nvidia.com/gpu"] = given.gpus
    return ({"requests": requests} if requests else {}) | ({"limits": limits} if limits else {})


def _cores(cpus: float) -> str:
    return f"{cpus:g}" if float(cpus).is_integer() else f"{round(cpus * 1000)}m"


def _memory(size: int) -> str:
    for power, unit in ((3, "Gi"), (2, "Mi"), (1, "Ki")):
        if size % 1024**power == 0:
            return f"{size // 1024**power}{unit}"
    return str(size)


def _security(service: Service) -> dict[str, Any]:
    given = service.confinement
    if given.privileged:
        return {"privileged": True}
    made: dict[str, Any] = {"allowPrivilegeEscalation": False}
    if given.user is not None:
        made["runAsUser"] = given.user
        if given.user:
            made["runAsNonRoot"] = True
    if given.group is not None:
        made["runAsGroup"] = given.group
    if given.read_only:
        made["readOnlyRootFilesystem"] = True
    capabilities = {"add": list(given.cap_add)} if given.cap_add else {}
    # Who is no root has no use for capabilities that the file does not name.
    if given.cap_drop or given.user:
        capabilities["drop"] = list(given.cap_drop) or ["ALL"]
    if capabilities:
        made["capabilities"] = capabilities
    return made
