"""Routes of the Gateway API: one Gateway for the project, and routes for each service in its own namespace."""

from windlass.config.project.gateway import Gateway
from windlass.config.project.target import GatewayApi
from windlass.generate.kubernetes import objects, routes, secrets
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.routes import Paths
from windlass.generate.kubernetes.server import GRPC, REST, Server, namespace_of, servers
from windlass.generate.text import seconds
from windlass.release import Release


def gateway(release: Release, asked: Gateway, route: GatewayApi) -> list[Object]:
    """Return the Gateway; nothing where the project joins one that exists."""
    if route.gateway:
        return []
    # Routes of tenants join from their own namespaces, and nobody else's do.
    selector = {"matchLabels": {objects.PART_OF: release.project.name}}
    home = namespace_of(release, None)
    only_home = home == "default" or not release.project.tenants
    allowed: Object = {"from": "Same"} if only_home else {"from": "Selector", "selector": selector}
    listeners = [_listener(release, asked, "rest", rest_port(asked), allowed)]
    if any(server.speaks_grpc for server in servers(release)):
        listeners.append(_listener(release, asked, "grpc", asked.grpc_port, allowed))
    name = objects.named(release, "gateway")
    marks = objects.project_labels(release, "gateway")
    spec = {"gatewayClassName": route.class_name, "listeners": listeners}
    return [objects.declared("Gateway", name, home, marks, spec=spec)]


def rest_port(asked: Gateway) -> int:
    """Return the port that is asked for; where the file says none, the one that clients expect."""
    if "port" in asked.model_fields_set:
        return asked.port
    return 443 if asked.tls else 80


def of_service(release: Release, asked: Gateway, route: GatewayApi, server: Server) -> list[Object]:
    """Return the routes of a service."""
    found = [_http(asked, route, one) for one in routes.paths(release) if one.server == server]
    if server.speaks_grpc:
        found.append(_grpc(release, asked, route, server))
    return found


def _listener(release: Release, asked: Gateway, name: str, port: int, allowed: Object) -> Object:
    found: Object = {"name": name, "port": port, "protocol": "HTTPS" if asked.tls else "HTTP"}
    if asked.host:
        found["hostname"] = asked.host
    if asked.tls:
        reference = {"kind": "Secret", "name": secrets.tls_name(release)}
        found["tls"] = {"mode": "Terminate", "certificateRefs": [reference]}
    kinds = [{"kind": "HTTPRoute" if name == "rest" else "GRPCRoute"}]
    return {**found, "allowedRoutes": {"namespaces": allowed, "kinds": kinds}}


def _parents(server: Server, asked: Gateway, route: GatewayApi, listener: str) -> Object:
    release = server.release
    home = namespace_of(release, None)
    namespace, _, name = (route.gateway or f"{home}/{objects.named(release, 'gateway')}").partition("/")
    parent = {"name": name, **({} if namespace == server.namespace else {"namespace": namespace})}
    if not route.gateway:
        parent["sectionName"] = listener
    return {"parentRefs": [parent], **({"hostnames": [asked.host]} if asked.host else {})}


def _http(asked: Gateway, route: GatewayApi, paths: Paths) -> Object:
    backends = routes.backends(paths.server, REST)
    rules: list[Object] = []
    matches = [{"path": {"type": "RegularExpression", "value": f"^{one}$"}} for one in paths.patterns]
    matches += [{"path": {"type": "Exact", "value": one}} for one in paths.exact]
    if matches:
        rules.append(
            {"matches": matches, "backendRefs": backends, "timeouts": {"request": seconds(asked.timeouts.read)}}
        )
    if paths.streams:
        streams = [{"path": {"type": "RegularExpression", "value": f"^{one}$"}} for one in paths.streams]
        rules.append({"#stream": "A stream takes as long as it takes.", "matches": streams, **_endless(backends)})
    for prefix, replaced in paths.prefixes:
        rule: Object = {"matches": [{"path": {"type": "PathPrefix", "value": prefix}}]}
        if prefix != replaced:
            rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": replaced}}
            rule["filters"] = [{"type": "URLRewrite", "urlRewrite": rewrite}]
        rules.append({**rule, **_endless(backends)})
    spec = {**_parents(paths.server, asked, route, "rest"), "rules": rules}
    return paths.server.declared("HTTPRoute", paths.server.beside(), spec=spec)


def _endless(backends: list[Object]) -> Object:
    return {"backendRefs": backends, "timeouts": {"request": "0s"}}


def _grpc(release: Release, asked: Gateway, route: GatewayApi, server: Server) -> Object:
    headers: Object = {}
    if not routes.grpc_alone(release):
        headers = {"headers": [{"name": routes.HEADER, "value": server.service}]}
    # Only these calls: others load models, change logs or map memory.
    rules = [
        {
            "matches": [{"method": {"service": routes.GRPC_SERVICE, "method": call}, **headers} for call in calls],
            "backendRefs": routes.backends(server, GRPC),
        }
        for calls in (routes.INFER_CALLS, routes.TELLING_CALLS)
    ]
    spec = {**_parents(server, asked, route, "grpc"), "rules": rules}
    return server.declared("GRPCRoute", server.beside(), spec=spec)
