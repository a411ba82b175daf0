"""Routes of Istio: a Gateway, one VirtualService that keeps the order of routes, and rules for each destination."""

from windlass.config.project.gateway import Gateway
from windlass.config.project.target import Istio
from windlass.generate.kubernetes import objects, routes, secrets
from windlass.generate.kubernetes.gateway_api import rest_port
from windlass.generate.kubernetes.objects import PART_OF, Object
from windlass.generate.kubernetes.routes import Paths
from windlass.generate.kubernetes.server import GRPC, METRICS, REST, TRACK, Server, namespace_of, namespaces, servers
from windlass.generate.text import seconds
from windlass.release import Release


def gateway(release: Release, asked: Gateway, route: Istio) -> list[Object]:
    """Return the Gateway where the project joins none that exists, and the routes of all services."""
    home = namespace_of(release, None)
    marks = objects.project_labels(release, "gateway")
    name = objects.named(release, "gateway")
    hosts = [asked.host or "*"]
    found: list[Object] = []
    if not route.gateway:
        spec = {"selector": {"istio": "ingressgateway"}, "servers": [_door(release, asked, hosts)]}
        found.append(objects.declared("IstioGateway", name, home, marks, spec=spec))
    http = [rule for paths in routes.paths(release) for rule in _rest(asked, paths)]
    http += [_grpc(release, server) for server in servers(release) if server.speaks_grpc]
    spec = {"hosts": hosts, "gateways": [route.gateway or f"{home}/{name}"], "http": http}
    return [*found, objects.declared("VirtualService", objects.named(release), home, marks, spec=spec)]


def _door(release: Release, asked: Gateway, hosts: list[str]) -> Object:
    number = rest_port(asked)
    if not asked.tls:
        return {"port": {"number": number, "name": "http", "protocol": "HTTP"}, "hosts": hosts}
    version = {"1.2": "TLSV1_2", "1.3": "TLSV1_3"}[asked.tls.minimum]
    tls = {"mode": "SIMPLE", "credentialName": secrets.tls_name(release), "minProtocolVersion": version}
    return {"port": {"number": number, "name": "https", "protocol": "HTTPS"}, "hosts": hosts, "tls": tls}


def _rest(asked: Gateway, paths: Paths) -> list[Object]:
    found: list[Object] = []
    destinations = _destinations(paths.server, REST)
    matches: list[Object] = [{"uri": {"regex": one}} for one in paths.patterns]
    matches += [{"uri": {"exact": one}} for one in paths.exact]
    if matches:
        found.append({"match": matches, "route": destinations, "timeout": seconds(asked.timeouts.read), **_retries()})
    if paths.streams:
        found.append({"match": [{"uri": {"regex": one}} for one in paths.streams], "route": destinations, **_retries()})
    for prefix, replaced in paths.prefixes:
        rewrite = {"rewrite": {"uri": f"{replaced}/"}} if prefix != replaced else {}
        found.append({"match": [{"uri": {"prefix": f"{prefix}/"}}], **rewrite, "route": destinations, **_retries()})
    return found


def _grpc(release: Release, server: Server) -> Object:
    calls = "|".join((*routes.INFER_CALLS, *routes.TELLING_CALLS))
    match: Object = {"uri": {"regex": f"/{routes.GRPC_SERVICE}/({calls})".replace(".", "\\.")}}
    if not routes.grpc_alone(release):
        match["headers"] = {routes.HEADER: {"exact": server.service}}
    return {"match": [match], "route": _destinations(server, GRPC), **_retries()}


def _retries() -> Object:
    """Ask another replica where nothing was sent yet: what a server may have begun is not done twice."""
    return {"retries": {"attempts": 2, "retryOn": "connect-failure,refused-stream"}}


def _host(server: Server) -> str:
    return f"{server.name}.{server.namespace}.svc.cluster.local"


def _destinations(server: Server, port: int) -> list[Object]:
    one: Object = {"host": _host(server), "port": {"number": port}}
    if not routes.canaries(server.release):
        return [{"destination": one}]
    canary = Server(server.release, server.service, "canary")
    return [
        {"destination": {**one, "subset": "stable"}, "weight": 100},
        {"destination": {**one, "host": _host(canary), "subset": "canary"}, "weight": 0},
    ]


def of_service(server: Server, route: Istio) -> list[Object]:
    """Return how the mesh treats a service's pods: encrypted, and left out for a while when they fail."""
    tracks = [server]
    if routes.canaries(server.release):
        tracks.append(Server(server.release, server.service, "canary"))
    return [_rule(one, route) for one in tracks]


def _rule(server: Server, route: Istio) -> Object:
    policy: Object = {
        "connectionPool": {"tcp": {"connectTimeout": "2s"}},
        "loadBalancer": {"simple": "LEAST_REQUEST"},
        "outlierDetection": {
            "consecutiveGatewayErrors": 5,
            "interval": "10s",
            "baseEjectionTime": "30s",
            "maxEjectionPercent": 50,
        },
    }
    if route.mutual_tls:
        policy["tls"] = {"mode": "ISTIO_MUTUAL"}
    subset = {"name": server.track, "labels": {TRACK: server.track}}
    spec = {"host": _host(server), "trafficPolicy": policy, "subsets": [subset]}
    return server.declared("DestinationRule", server.name, spec=spec)


def mutual_tls(release: Release, route: Istio) -> list[Object]:
    """Return what refuses connections from outside the mesh; metrics may be read without."""
    if not route.mutual_tls:
        return []
    spec = {
        "selector": {"matchLabels": {PART_OF: release.project.name}},
        "mtls": {"mode": "STRICT"},
        "portLevelMtls": {str(METRICS): {"mode": "PERMISSIVE"}},
    }
    marks = objects.project_labels(release, "mesh")
    name = objects.named(release, "mutual-tls")
    return [objects.declared("PeerAuthentication", name, one, marks, spec=spec) for one in namespaces(release)]
