"""The gateway: nginx's configuration, which leads requests to the service that has the model, and limits them.

The same configuration serves containers and pods; ``Place`` tells where names, secrets and scratch space are.
"""

from windlass.config.project.gateway import Gateway
from windlass.generate.nginx.guards import guards, key_sets, rate
from windlass.generate.nginx.place import Nginx, Place
from windlass.generate.nginx.routes import language_services, routes
from windlass.generate.text import Files, template
from windlass.release import Release

__all__ = ["Nginx", "Place", "files", "language_services", "routes", "starts_with_keys"]

DOCKER = Place()

# What the gateway itself refuses, by status.
REASONS = {
    400: "the request cannot be read",
    401: "credentials are missing or wrong",
    403: "this is not allowed from here",
    404: "no service has this model or path",
    405: "this path takes another method",
    408: "the request took too long to arrive",
    413: "the request is larger than the gateway takes",
    414: "the path is too long",
    429: "too many requests: try again later",
    500: "the gateway failed",
    502: "no server of the service answers",
    503: "the service has no server that is ready",
    504: "the server took too long to answer",
}
# The same as gRPC's codes, for those that a call can meet.
CODES = {400: 3, 401: 16, 403: 7, 408: 4, 413: 8, 429: 8, 500: 13, 502: 14, 503: 14, 504: 4}


def files(release: Release, place: Place = DOCKER) -> Files:
    """Return the configuration of the project's gateway; nothing where it has none."""
    gateway = release.project.gateway
    if gateway is None:
        return {}
    texts = {"nginx.conf": _configuration(release, gateway, place)}
    if starts_with_keys(release):
        sets = key_sets(guards(release, gateway))
        texts["start.sh"] = template("nginx/start.sh.j2", release=release, place=place, sets=sets)
    return texts


def starts_with_keys(release: Release) -> bool:
    """Tell whether API keys must be made into a map before nginx starts."""
    gateway = release.project.gateway
    return gateway is not None and bool(key_sets(guards(release, gateway)))


def _configuration(release: Release, gateway: Gateway, place: Place) -> str:
    found = guards(release, gateway)
    leading = routes(release)
    # The key of a map: what callers name, or nothing where there is nothing to choose from.
    named = '""' if len(leading) == 1 else "$http_windlass_service"
    return template(
        "nginx/nginx.conf.j2",
        release=release,
        project=release.project,
        gateway=gateway,
        place=place,
        nginx=Nginx.of(gateway.image),
        guards=found,
        sets=key_sets(found),
        basic=any(guard.kind == "basic" for guard in found.values()),
        rate=rate(gateway.rate_limit) if gateway.rate_limit else "",
        routes=leading,
        named=named,
        language=language_services(release),
        reasons=REASONS,
        codes=CODES,
        drain=max(service.drain for service in release.project.services.values()),
    )
