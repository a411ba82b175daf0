"""Where a project runs: this machine, Docker Compose, Kubernetes; each with what differs there."""

from typing import Annotated, Any, Literal

from pydantic import Field

from windlass.config.project.part import Part
from windlass.config.project.quantities import Name, Port

# Any part of the project file, as it shall be on this target. Merged key by key; `null` takes a key away.
Overrides = dict[str, Any]


class LocalTarget(Part):
    """Server processes on this machine, without containers."""

    kind: Literal["local"]
    """`local`"""
    processes: Literal["one", "per-service"] = "one"
    """One server for all services, or one for each."""
    host: str = "127.0.0.1"
    """The address that servers listen on."""
    http_port: Port = 8000
    """The port for REST of the first server; the next ones are ten apart."""
    grpc_port: Port = 8001
    """The port for gRPC of the first server."""
    metrics_port: Port = 8002
    """The port for metrics of the first server."""
    overrides: Overrides = {}
    """What differs on this target."""


class ComposeTarget(Part):
    """Containers on one machine, through Docker Compose."""

    kind: Literal["compose"]
    """`compose`"""
    context: str | None = None
    """The Docker context, or `ssh://user@host`; the current one where left out."""
    project: Name | None = None
    """The name of the Compose project; this project's where left out. Two targets on one engine need two."""
    overrides: Overrides = {}
    """What differs on this target."""


class GatewayApi(Part):
    """Routes of the cluster's Gateway API."""

    kind: Literal["gateway-api"] = "gateway-api"
    """`gateway-api`"""
    class_name: str = "nginx"
    """The GatewayClass."""
    gateway: str | None = None
    """A Gateway that exists, as `namespace/name`; one is made where left out."""
    data_plane: Name | None = None
    """The namespace of the pods that carry the Gateway's traffic, where it is another than the Gateway's own."""


class Istio(Part):
    """Routes of Istio."""

    kind: Literal["istio"]
    """`istio`"""
    gateway: str | None = None
    """An Istio Gateway that exists, as `namespace/name`; one is made where left out."""
    mutual_tls: bool = True
    """Whether pods accept connections of the mesh only."""


class InCluster(Part):
    """The same nginx gateway as on Compose, as a Deployment."""

    kind: Literal["nginx"]
    """`nginx`"""
    service_type: Literal["ClusterIP", "LoadBalancer", "NodePort"] = "ClusterIP"
    """How it is reached."""


class KubernetesTarget(Part):
    """A Kubernetes cluster."""

    kind: Literal["kubernetes"]
    """`kubernetes`"""
    context: str | None = None
    """The context of the kubeconfig; the current one where left out."""
    namespace: Name = "default"
    """The namespace."""
    layout: Literal["plain", "kustomize", "helm"] = "kustomize"
    """What is written: plain manifests, a kustomize tree, or a Helm chart. All hold the same objects."""
    route: Annotated[GatewayApi | Istio | InCluster, Field(discriminator="kind")] = GatewayApi()
    """How requests from outside find their service."""
    linkerd: bool = False
    """Whether pods join a Linkerd mesh, with a profile of routes and retries for each service."""
    storage_class: str | None = None
    """The storage class of volumes; the cluster's default where left out."""
    read_write_many: bool = True
    """Whether the storage class lets many nodes mount one volume."""
    gpu_resource: str = "nvidia.com/gpu"
    """The name under which the cluster offers GPUs."""
    pull_secret: str | None = None
    """The Kubernetes Secret that images are pulled with."""
    service_monitor: bool = True
    """Whether the cluster has the Prometheus operator, which ServiceMonitors and rules are for."""
    external_metrics: bool = True
    """Whether the cluster has a metrics adapter, which scaling by requests and GPU use needs."""
    overrides: Overrides = {}
    """What differs on this target."""


Target = Annotated[LocalTarget | ComposeTarget | KubernetesTarget, Field(discriminator="kind")]
