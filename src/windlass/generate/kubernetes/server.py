"""A service as it is in a cluster: its namespace, its names and the labels that find its pods."""

from dataclasses import dataclass
from typing import Any

from windlass.config.project import KubernetesTarget, Service
from windlass.generate.kubernetes import objects
from windlass.generate.kubernetes.objects import Object
from windlass.release import Release

COMPONENT = "server"
# The label that tells a release from its canary.
TRACK = "track"
REST, GRPC, METRICS = 8000, 8001, 8002


@dataclass(frozen=True, slots=True)
class Server:
    """A service of a release. ``track`` is ``stable``, or ``canary`` for the servers that are tried beside them."""

    release: Release
    service: str
    track: str = "stable"

    @property
    def value(self) -> Service:
        """What the project file says of it."""
        return self.release.project.services[self.service]

    @property
    def target(self) -> KubernetesTarget:
        """The cluster it runs on."""
        return objects.cluster(self.release)

    @property
    def namespace(self) -> str:
        """Its tenant's namespace, or the project's."""
        return namespace_of(self.release, self.value.tenant)

    @property
    def name(self) -> str:
        """The name of its workload, and of the Service that leads to it."""
        return self.beside() if self.track == "stable" else self.beside(self.track)

    @property
    def headless(self) -> str:
        """The name of the Service whose address is that of every replica."""
        return self.beside("replicas") if self.track == "stable" else self.beside(self.track, "replicas")

    def beside(self, *parts: str) -> str:
        """Return the name of something that belongs to it."""
        return objects.named(self.release, self.service, *parts)

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its objects."""
        return objects.labels(self.release, self.service, COMPONENT, version_of(self.release.image(self.service)))

    @property
    def selector(self) -> dict[str, str]:
        """The labels that only its pods have. They never change: a Deployment's selector cannot."""
        return {**everywhere(self.release, self.service), TRACK: self.track}

    @property
    def scraped(self) -> tuple[str, int]:
        """The name and number of the port that tells metrics."""
        return ("http", REST) if self.value.runtime == "vllm" else ("metrics", METRICS)

    @property
    def speaks_grpc(self) -> bool:
        """Whether it has gRPC."""
        return self.value.runtime != "vllm"

    @property
    def kind(self) -> str:
        """The kind of its workload."""
        return "StatefulSet" if self.value.stateful else "Deployment"

    @property
    def most_replicas(self) -> int:
        """How many replicas there may be."""
        return self.value.autoscale.max if self.value.autoscale else self.value.replicas

    def declared(self, kind: str, name: str, **body: Any) -> Object:
        """Return an object that belongs to it."""
        return objects.declared(kind, name, self.namespace, self.labels, **body)


def servers(release: Release) -> list[Server]:
    """Return all services of a release."""
    return [Server(release, name) for name in release.project.services]


def everywhere(release: Release, service: str) -> dict[str, str]:
    """Return the labels of a service's pods, whatever track they are of."""
    return {
        objects.NAME: service,
        objects.COMPONENT: COMPONENT,
        objects.PART_OF: release.project.name,
    }


def namespace_of(release: Release, tenant: str | None) -> str:
    """Return the namespace of a tenant, or of all who have none."""
    home = objects.cluster(release).namespace
    if tenant is None:
        return home
    return objects.fitting(f"{release.project.name if home == 'default' else home}-{tenant}", 63)


def namespaces(release: Release) -> list[str]:
    """Return the namespaces that a release uses; the project's own is the first."""
    found = [namespace_of(release, None), *(server.namespace for server in servers(release))]
    return list(dict.fromkeys(found))


def version_of(image: str) -> str:
    """Return the tag of an image; empty where it is named by digest or not at all."""
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    return tag[:63]
