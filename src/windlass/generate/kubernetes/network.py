"""Who reaches whom: Services that lead to pods, and policies that let nobody through who is not named."""

from windlass.generate.kubernetes import mesh, objects, storage
from windlass.generate.kubernetes.objects import COMPONENT, PART_OF, Object
from windlass.generate.kubernetes.server import GRPC, REST, Server, everywhere, namespace_of, namespaces, servers
from windlass.release import Release

NAMESPACE = "kubernetes.io/metadata.name"


def services(server: Server) -> list[Object]:
    """Return the Services of a service: one address for all, and one for each replica where somebody wants those."""
    found = [_service(server, server.name, {})]
    if server.value.stateful or server.target.route.kind == "nginx":
        found.append(_service(server, server.headless, {"clusterIP": "None"}))
    return found


def _service(server: Server, name: str, extra: Object) -> Object:
    ports: list[Object] = [{"name": "http", "port": REST, "targetPort": "http", "appProtocol": "http"}]
    if server.speaks_grpc:
        ports.append({"name": "grpc", "port": GRPC, "targetPort": "grpc", "appProtocol": "kubernetes.io/h2c"})
        ports.append({"name": "metrics", "port": server.scraped[1], "targetPort": "metrics", "appProtocol": "http"})
    spec = {"type": "ClusterIP", **extra, "selector": server.selector, "ports": ports}
    found = server.declared("Service", name, spec=spec)
    if extra:
        # Prometheus asks every pod once, through the other Service.
        found["metadata"]["labels"][COMPONENT] = "replicas"
    return found


def deny(release: Release) -> list[Object]:
    """Return the policies that close every pod of the project in both directions, but for questions to the DNS."""
    found = []
    for namespace in namespaces(release):
        spec = {
            "podSelector": {"matchLabels": {PART_OF: release.project.name}},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [_dns()],
        }
        marks = objects.project_labels(release, "network")
        found.append(
            objects.declared("NetworkPolicy", objects.named(release, "default-deny"), namespace, marks, spec=spec)
        )
    return found


def policy(server: Server) -> Object:
    """Return whom a service's pods hear, and whom they ask."""
    ports = [_port(REST), *([_port(GRPC)] if server.speaks_grpc else []), *mesh.ports(server)]
    ingress: list[Object] = []
    callers = [*_gateway(server), *_named(server)]
    if callers:
        ingress.append({"from": callers, "ports": ports})
    metrics = [_port(server.scraped[1]), *mesh.ports(server)]
    ingress.append({"#prometheus": "Prometheus, wherever it is.", "from": [_prometheus()], "ports": metrics})
    spec: Object = {
        "podSelector": {"matchLabels": everywhere(server.release, server.service)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
    }
    egress = [*_egress(server), *mesh.egress(server)]
    if egress:
        spec["egress"] = egress
    return server.declared("NetworkPolicy", server.beside(), spec=spec)


def _gateway(server: Server) -> list[Object]:
    """Return the pods that carry requests from outside."""
    if server.release.project.gateway is None:
        return []
    route = server.target.route
    if route.kind == "nginx":
        home = namespace_of(server.release, None)
        return [_pods(home, server.namespace, {PART_OF: server.release.project.name, COMPONENT: "gateway"})]
    if route.kind == "istio":
        place = route.gateway.partition("/")[0] if route.gateway else mesh.ISTIO_INGRESS
        return [{"namespaceSelector": {"matchLabels": {NAMESPACE: place}}}]
    home = namespace_of(server.release, None)
    namespace, _, name = (route.gateway or f"{home}/{objects.named(server.release, 'gateway')}").partition("/")
    if route.data_plane:
        return [{"namespaceSelector": {"matchLabels": {NAMESPACE: route.data_plane}}}]
    return [_pods(namespace, server.namespace, {"gateway.networking.k8s.io/gateway-name": name})]


def _named(server: Server) -> list[Object]:
    """Return the callers that the project file names."""
    return [
        _pods(caller.namespace or server.namespace, server.namespace, caller.labels) for caller in server.value.callers
    ]


def _pods(namespace: str, own: str, labels: dict[str, str]) -> Object:
    found: Object = {} if namespace == own else {"namespaceSelector": {"matchLabels": {NAMESPACE: namespace}}}
    if labels or not found:
        found["podSelector"] = {"matchLabels": labels} if labels else {}
    return found


def _prometheus() -> Object:
    selector = {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}
    return {"namespaceSelector": {}, "podSelector": selector}


def _egress(server: Server) -> list[Object]:
    found: list[Object] = []
    hub = server.value.vllm is not None and not server.value.vllm.model.startswith("./")
    if hub or storage.fetches(server):
        what = "the hub of models" if hub else "the bucket"
        # A policy knows addresses, and what is behind these names has many.
        found.append({"#outside": f"To {what}, over TLS.", "ports": [_port(443)]})
    traces = server.release.project.observability.traces
    if traces:
        found.append({"#traces": "To the collector of traces.", "ports": [_port(url_port(traces.url))]})
    return found


def url_port(url: str) -> int:
    """Return the port of a URL."""
    scheme, _, rest = url.partition("://")
    port = rest.partition("/")[0].rpartition("@")[2].rpartition(":")[2]
    return int(port) if port.isdigit() else (443 if scheme == "https" else 80)


def _dns() -> Object:
    system = {"namespaceSelector": {"matchLabels": {NAMESPACE: "kube-system"}}}
    return {"to": [system], "ports": [{"protocol": "UDP", "port": 53}, _port(53)]}


def _port(number: int) -> Object:
    return {"protocol": "TCP", "port": number}


def egress_to(release: Release) -> list[Object]:
    """Return what lets the project's own gateway ask every service."""
    found: list[Object] = []
    for server in servers(release):
        target = _pods(server.namespace, namespace_of(release, None), everywhere(release, server.service))
        ports = [_port(REST), *([_port(GRPC)] if server.speaks_grpc else [])]
        found.append({"to": [target], "ports": ports})
    return found
