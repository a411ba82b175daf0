"""All objects of a release, in files by what they are about, in the order in which a person reads them."""

from windlass.generate.kubernetes import (
    backup,
    falco,
    gateway_api,
    gpus,
    in_cluster,
    istio,
    linkerd,
    monitoring,
    namespaces,
    network,
    routes,
    scaling,
    secrets,
    storage,
    workload,
)
from windlass.generate.kubernetes.objects import Object, cluster
from windlass.generate.kubernetes.server import Server, servers
from windlass.release import Release

# Path of a file, without its suffix, to what is in it.
Manifests = dict[str, list[Object]]


def manifests(release: Release) -> Manifests:
    """Return the objects of a release. What others need comes before what needs it."""
    found: Manifests = {"namespaces": namespaces.declared(release)}
    used = {service.tenant for service in release.project.services.values()}
    found |= {f"tenants/{name}": namespaces.quotas(release, name) for name in release.project.tenants if name in used}
    found |= {
        "secrets": secrets.declared(release),
        "network": network.deny(release),
        "models": storage.model_claims(release),
        "gpu-sharing": gpus.configuration(release),
    }
    for server in servers(release):
        found |= {f"{server.service}/{name}": declared for name, declared in _service(server).items()}
    found |= {f"gateway/{name}": declared for name, declared in _gateway(release).items()}
    found |= {
        "schedules": scaling.permissions(release),
        "backup": backup.backups(release),
        "monitoring": monitoring.rules(release),
        "dashboard": monitoring.dashboard(release),
        "falco": falco.rules(release),
    }
    return {path: declared for path, declared in found.items() if declared}


def _service(server: Server) -> Manifests:
    tracks = [server]
    if routes.canaries(server.release):
        tracks.append(Server(server.release, server.service, "canary"))
    return {
        "account": [workload.account(server)],
        "cache": storage.cache_claim(server),
        server.kind.lower(): [workload.workload(server)],
        "service": [one for track in tracks for one in network.services(track)],
        "autoscaler": [*scaling.autoscaler(server), *scaling.schedules(server)],
        "disruption": [workload.disruption(server)],
        "network": [network.policy(server)],
        "routes": _routes(server),
        "monitor": monitoring.monitor(server),
    }


def _routes(server: Server) -> list[Object]:
    target, asked = server.target, server.release.project.gateway
    found: list[Object] = []
    if target.route.kind == "istio":
        found += istio.of_service(server, target.route)
    if target.route.kind == "gateway-api" and asked:
        found += gateway_api.of_service(server.release, asked, target.route, server)
    if target.linkerd:
        found.append(linkerd.profile(server))
    return found


def _gateway(release: Release) -> Manifests:
    asked, route = release.project.gateway, cluster(release).route
    found: list[Object] = []
    if route.kind == "istio":
        found += istio.mutual_tls(release, route)
    if asked is None:
        return {"mesh": found}
    if route.kind == "nginx":
        return {one["kind"].lower(): [one] for one in in_cluster.gateway(release, asked, route)}
    if route.kind == "istio":
        return {"mesh": found, "routes": istio.gateway(release, asked, route)}
    return {"gateway": gateway_api.gateway(release, asked, route)}
