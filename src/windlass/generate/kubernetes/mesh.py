"""What joins pods to a mesh: annotations for its proxies, and the ports and places that those use."""

from windlass.generate.kubernetes import storage
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import Server

ISTIO_SYSTEM = "istio-system"
ISTIO_INGRESS = "istio-system"
LINKERD_SYSTEM = "linkerd"
# Where Linkerd's proxies hear each other.
_LINKERD_PORT = 4143


def annotations(server: Server) -> dict[str, str]:
    """Return the annotations of a pod. What fetches models runs before the proxy does, and goes past it."""
    fetches = storage.fetches(server)
    found: dict[str, str] = {}
    if server.target.route.kind == "istio":
        found["sidecar.istio.io/inject"] = "true"
        # The pod ends after its server, and the proxy after both.
        found["proxy.istio.io/config"] = '{"holdApplicationUntilProxyStarts": true}'
        if fetches:
            found["traffic.sidecar.istio.io/excludeOutboundPorts"] = "443"
    if server.target.linkerd:
        found["linkerd.io/inject"] = "enabled"
        found["config.linkerd.io/proxy-await"] = "enabled"
        if fetches:
            found["config.linkerd.io/skip-outbound-ports"] = "443"
    return found


def ports(server: Server) -> list[Object]:
    """Return the ports of a pod that its proxy adds."""
    return [{"protocol": "TCP", "port": _LINKERD_PORT}] if server.target.linkerd else []


def egress(server: Server) -> list[Object]:
    """Return whom a proxy must be able to ask."""
    systems = []
    if server.target.route.kind == "istio":
        systems.append(ISTIO_SYSTEM)
    if server.target.linkerd:
        systems.append(LINKERD_SYSTEM)
    return [
        {"#mesh": "To the mesh's control plane.", "to": [{"namespaceSelector": {"matchLabels": _named(system)}}]}
        for system in systems
    ]


def _named(namespace: str) -> dict[str, str]:
    return {"kubernetes.io/metadata.name": namespace}
