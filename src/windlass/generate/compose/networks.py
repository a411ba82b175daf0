"""Networks: servers see the gateway and what measures them, and nothing else; tenants do not see each other."""

from windlass.config.project import Service
from windlass.generate.compose.container import Mapping
from windlass.release import Release

# The first server's ports on this machine without a gateway; the next ones are ten apart.
_FIRST = 8000


def of_server(release: Release, name: str) -> Mapping:
    """Return the networks of a server, and its ports on this machine where there is no gateway."""
    service = release.project.services[name]
    found = [private(service)]
    if _reaches_out(release, service) or release.project.gateway is None:
        found.append("outside")
    if release.project.gateway is not None:
        return {"networks": found}
    # Several replicas cannot have one port: Docker chooses, and `windlass status` tells.
    alone = service.replicas == 1
    first = _FIRST + 10 * list(release.project.services).index(name)
    ports = (8000,) if service.runtime == "vllm" else (8000, 8001)
    published = [f"127.0.0.1:{first + port - _FIRST if alone else ''}:{port}" for port in ports]
    return {"ports": published, "networks": found}


def private(service: Service) -> str:
    """Return the network of a service: its tenant's, or that of all who have none."""
    return f"tenant-{service.tenant}" if service.tenant else "servers"


def privates(release: Release) -> list[str]:
    """Return the networks of servers."""
    return sorted({private(service) for service in release.project.services.values()})


def networks(release: Release, used: set[str]) -> Mapping:
    """Return the networks that are used. Those inside lead nowhere else."""
    inside: Mapping = {"#inside": "What is `internal` leads nowhere else, neither out nor in."}
    inside |= {name: {"internal": True} for name in (*privates(release), "monitoring") if name in used}
    outside: Mapping = {"outside": {}} if "outside" in used else {}
    return inside | outside


def _reaches_out(release: Release, service: Service) -> bool:
    """Tell whether a server has something to ask beyond the project: a hub of models, a collector of traces."""
    hub = service.vllm is not None and not service.vllm.model.startswith("./")
    return hub or release.project.observability.traces is not None
