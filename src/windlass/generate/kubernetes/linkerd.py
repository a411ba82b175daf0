"""Profiles with which Linkerd tells routes apart: which may be asked again, and how long each may take."""

from windlass.generate.kubernetes import routes
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import Server
from windlass.generate.text import seconds


def profile(server: Server) -> Object:
    """Return the profile of a service."""
    gateway = server.release.project.gateway
    limit = {"timeout": seconds(gateway.timeouts.read)} if gateway else {}
    rest = "/v2/models/[^/]+(/versions/[0-9]+)?"
    found: list[Object] = [
        # What only tells something may be asked again; what computes may not.
        _route("GET model", "GET", f"{rest}(/(ready|config|stats))?", {"isRetryable": True}),
        _route("GET health", "GET", "/v2/health/(live|ready)", {"isRetryable": True}),
        _route("POST infer", "POST", f"{rest}/(infer|generate)", limit),
        _route("POST generate_stream", "POST", f"{rest}/generate_stream", {}),
    ]
    if not server.speaks_grpc:
        found = [
            _route("GET health", "GET", "/health", {"isRetryable": True}),
            _route("POST v1", "POST", "/v1/.*", {}),
        ]
    for call in (*routes.INFER_CALLS, *routes.TELLING_CALLS) if server.speaks_grpc else ():
        extra: Object = {"isRetryable": True} if call in routes.TELLING_CALLS else {}
        found.append(_route(call, "POST", f"/{routes.GRPC_SERVICE}/{call}".replace(".", "\\."), extra))
    spec = {"routes": found, "retryBudget": {"retryRatio": 0.2, "minRetriesPerSecond": 10, "ttl": "10s"}}
    return server.declared("ServiceProfile", f"{server.name}.{server.namespace}.svc.cluster.local", spec=spec)


def _route(name: str, method: str, path: str, extra: Object) -> Object:
    return {"name": name, "condition": {"method": method, "pathRegex": path}, **extra}
