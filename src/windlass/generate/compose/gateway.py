"""The gateway as a container: the only one that is reached from outside."""

from windlass.config.project.gateway import Gateway
from windlass.generate import nginx
from windlass.generate.compose.container import Mapping, confined, limits, logging
from windlass.generate.compose.networks import privates
from windlass.generate.compose.remote import Configured, configured
from windlass.generate.compose.servers import replicas
from windlass.release import Release

NAME = "gateway"
# The user `nginx` of nginx' own images.
_USER = 101


def service(release: Release, gateway: Gateway, configuration: dict[str, str]) -> Mapping:
    """Return the gateway's service; ``configuration`` are its generated files."""
    secrets = secret_names(release, gateway)
    places = {path: f"/etc/nginx/{path.removeprefix('gateway/')}" for path in configuration}
    start = ["/bin/sh", "/etc/nginx/start.sh"] if nginx.starts_with_keys(release) else ["nginx", "-g", "daemon off;"]
    return {
        **configured(release, Configured(NAME, gateway.image, places), configuration),
        "command": start,
        # nginx finishes what it has begun with SIGQUIT, and drops it with SIGTERM.
        "stop_signal": "SIGQUIT",
        "restart": "unless-stopped",
        **confined(release, user=f"{_USER}:{_USER}", secrets=secrets),
        "ports": _ports(gateway, any(one.runtime != "vllm" for one in release.project.services.values())),
        **({"secrets": list(secrets)} if secrets else {}),
        "healthcheck": {
            "test": ["CMD", "curl", "-fsS", "-m", "4", "-o", "/dev/null", "http://127.0.0.1:8082/health"],
            "interval": "5s",
            "timeout": "5s",
            "retries": 3,
            "start_period": "30s",
            "start_interval": "1s",
        },
        "depends_on": {
            name: {"condition": "service_healthy"}
            for name, value in release.project.services.items()
            if replicas(value)
        },
        "deploy": {"resources": {"limits": limits(release, memory=512 * 2**20)}},
        "stop_grace_period": f"{max(one.drain for one in release.project.services.values()) + 5:.0f}s",
        "networks": [*privates(release), "outside"],
        "logging": logging(release, NAME),
    }


def secret_names(release: Release, gateway: Gateway) -> tuple[str, ...]:
    """Return the secrets that the gateway reads: certificate, key, authority, passwords, keys of clients."""
    tls, auth = gateway.tls, gateway.auth
    named = [tls.certificate, tls.key, tls.client_ca] if tls else []
    named += [auth.basic, auth.keys] if auth else []
    named += [tenant.keys for tenant in release.project.tenants.values()]
    return tuple(sorted({name for name in named if name}))


def _ports(gateway: Gateway, grpc: bool) -> list[str]:
    address = f"[{gateway.bind}]" if ":" in gateway.bind else gateway.bind
    ports = [f"{address}:{gateway.port}:8080"]
    if grpc and gateway.tls is None:
        ports.append(f"{address}:{gateway.grpc_port}:8081")
    return ports
