"""What the outside may ask, whatever routes it: paths and calls of each service, and no management."""

from dataclasses import dataclass

from windlass.generate import nginx
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import GRPC, REST, Server, servers
from windlass.release import Release

# The calls that clients need, those that move tensors first; others load models, change logs or map memory.
GRPC_SERVICE = "inference.GRPCInferenceService"
INFER_CALLS = ("ModelInfer", "ModelStreamInfer")
TELLING_CALLS = (
    "ServerLive",
    "ServerReady",
    "ServerMetadata",
    "ModelReady",
    "ModelMetadata",
    "ModelConfig",
    "ModelStatistics",
)
# The metadata with which callers choose one of several services.
HEADER = "windlass-service"


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of one service: regular expressions, exact ones, and prefixes with what takes their place."""

    server: Server
    patterns: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    prefixes: tuple[tuple[str, str], ...] = ()


def paths(release: Release) -> list[Paths]:
    """Return the paths of every service; the most particular first."""
    by_name = {server.service: server for server in servers(release)}
    found = []
    for route in nginx.routes(release):
        model = f"/v2/models/({route.models})(/versions/[0-9]+)?"
        found.append(
            Paths(
                by_name[route.service],
                patterns=(f"{model}(/(infer|generate|ready|config|stats))?", _predict(route.models, route.only)),
                streams=(f"{model}/generate_stream",),
                exact=("/v2", "/v2/health/live", "/v2/health/ready") if route.only else (),
            )
        )
    language = nginx.language_services(release)
    for name in language:
        prefixes = [(f"/services/{name}/v1", "/v1")]
        if len(language) == 1:
            prefixes.insert(0, ("/v1", "/v1"))
        found.append(Paths(by_name[name], prefixes=tuple(prefixes)))
    return found


def grpc_alone(release: Release) -> bool:
    """Tell whether one service gets every call."""
    return len([server for server in servers(release) if server.speaks_grpc]) == 1


def backends(server: Server, port: int) -> list[Object]:
    """Return where requests of a service go: to the stable release, and to a canary when a rollout says so."""
    stable = {"name": server.name, "port": port}
    if not canaries(server.release):
        return [stable]
    canary = Server(server.release, server.service, "canary")
    return [{**stable, "weight": 100}, {"name": canary.name, "port": port, "weight": 0}]


def canaries(release: Release) -> bool:
    """Tell whether two releases may run beside each other."""
    return release.project.rollout.strategy != "rolling"


def ports(server: Server) -> list[int]:
    """Return the ports that requests come to."""
    return [REST, GRPC] if server.speaks_grpc else [REST]


def _predict(models: str, only: bool) -> str:
    return "/predict(/[^/]+)?" if only else f"/predict/({models})"
