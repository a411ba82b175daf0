"""How services are called, and by whom: Services, and policies after the networks of the Compose file."""

from collections.abc import Iterator
from typing import Any

from windlass.config.compose import ComposeFile, Service
from windlass.generate.convert.choice import Choice


def network_label(name: str) -> str:
    """Return the label of pods that are on a network."""
    return f"network.windlass.dev/{name}"


def service_objects(service: Service, choice: Choice) -> Iterator[dict[str, Any]]:
    """Yield a Service for every name that a service is called by.

    Where no port is known the name leads to the pods themselves, whatever they listen on.
    """
    names: dict[tuple[int, str], dict[str, Any]] = {}
    for port in service.ports:
        # Inside a Compose project a service is called on the port of its container; published ports are for outside.
        key = (port.target, port.protocol)
        names[key] = {"name": f"{port.protocol.lower()}-{port.target}", "port": port.target, "protocol": port.protocol}
    for name in dict.fromkeys((service.name, *service.aliases)):
        called = {"ports": list(names.values())} if names else {"clusterIP": "None"}
        spec = {"selector": choice.selector(service.name), **called}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": choice.metadata(name), "spec": spec}


def policies(compose: ComposeFile, choice: Choice) -> Iterator[dict[str, Any]]:
    """Yield a policy that closes all, and one for each network that opens it among its members."""
    yield {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": choice.metadata("default-deny"),
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }
    yield _names(choice)
    for network in sorted({network for one in compose.services.values() for network in one.networks}):
        members = {"matchLabels": {network_label(network): "true"}}
        peers: list[dict[str, Any]] = [{"podSelector": members}]
        # A network that is not internal leads to the outside.
        outside = [] if network in compose.internal_networks else [{"ipBlock": {"cidr": "0.0.0.0/0"}}]
        yield {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": choice.metadata(f"network-{network}".replace("_", "-").lower()),
            "spec": {
                "podSelector": members,
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": peers}],
                "egress": [{"to": [*peers, *outside]}],
            },
        }
    yield from _published(compose, choice)


def _names(choice: Choice) -> dict[str, Any]:
    """Let every pod ask for names."""
    ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": choice.metadata("names"),
        "spec": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"namespaceSelector": namespace}], "ports": ports}],
        },
    }


def _published(compose: ComposeFile, choice: Choice) -> Iterator[dict[str, Any]]:
    """What was published may be called from anywhere in the cluster, an ingress among it."""
    for name, service in compose.services.items():
        published = [
            port for port in service.ports if port.published is not None and port.host not in ("127.0.0.1", "[::1]")
        ]
        if published:
            ports = [{"protocol": port.protocol, "port": port.target} for port in published]
            yield {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": choice.metadata(f"{name}-published"),
                "spec": {
                    "podSelector": {"matchLabels": choice.selector(name)},
                    "policyTypes": ["Ingress"],
                    "ingress": [{"from": [{"namespaceSelector": {}}], "ports": ports}],
                },
            }
