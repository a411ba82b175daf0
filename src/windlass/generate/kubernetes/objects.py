"""What every Kubernetes object has: its kind and version, a name that fits, a namespace, and labels that find it."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from windlass.config.project import KubernetesTarget
from windlass.release import Release

Object = dict[str, Any]

# Where kinds live. What is not here is not written.
VERSIONS = {
    "Namespace": "v1",
    "ServiceAccount": "v1",
    "Service": "v1",
    "ConfigMap": "v1",
    "PersistentVolumeClaim": "v1",
    "ResourceQuota": "v1",
    "LimitRange": "v1",
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "CronJob": "batch/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "ExternalSecret": "external-secrets.io/v1",
    "SecretProviderClass": "secrets-store.csi.x-k8s.io/v1",
    "Gateway": "gateway.networking.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "GRPCRoute": "gateway.networking.k8s.io/v1",
    "IstioGateway": "networking.istio.io/v1",
    "VirtualService": "networking.istio.io/v1",
    "DestinationRule": "networking.istio.io/v1",
    "PeerAuthentication": "security.istio.io/v1",
    "AuthorizationPolicy": "security.istio.io/v1",
    "ServiceProfile": "linkerd.io/v1alpha2",
}

# The shortest limit that a name meets: pods of a StatefulSet and jobs of a CronJob add to it, and labels end at 63.
_LONGEST = 52
NAME = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"
PART_OF = "app.kubernetes.io/part-of"
MANAGED_BY = "app.kubernetes.io/managed-by"
VERSION = "app.kubernetes.io/version"


def cluster(release: Release) -> KubernetesTarget:
    """Return the release's target, which is a cluster."""
    target = release.target
    if not isinstance(target, KubernetesTarget):
        raise ValueError(f"this is a bug in windlass: target `{release.target_name}` is no cluster")
    return target


def fitting(name: str, longest: int = _LONGEST) -> str:
    """Return a name, or as much of it as Kubernetes takes with a digest that keeps it apart from others."""
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: longest - 9].rstrip('-')}-{digest}"


def named(release: Release, *parts: str) -> str:
    """Return the name of an object: the project's first, because a namespace may hold other things."""
    return fitting("-".join((release.project.name, *parts)))


def labels(release: Release, name: str, component: str, version: str = "") -> dict[str, str]:
    """Return the labels that are recommended for all objects."""
    found = {NAME: name, COMPONENT: component, PART_OF: release.project.name}
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", version):
        found[VERSION] = version
    return {**found, MANAGED_BY: "windlass"}


def project_labels(release: Release, component: str) -> dict[str, str]:
    """Return the labels of what belongs to the project as a whole."""
    return labels(release, release.project.name, component)


def declared(
    kind: str,
    name: str,
    namespace: str | None,
    marks: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
    **body: Any,
) -> Object:
    """Return an object; ``marks`` are its labels, ``body`` what it says beside its metadata."""
    metadata: Object = {"name": name}
    if namespace is not None:
        metadata["namespace"] = namespace
    metadata["labels"] = dict(marks)
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": VERSIONS[kind], "kind": kind.removeprefix("Istio"), "metadata": metadata, **body}


def cores(amount: float) -> str:
    """Write CPU cores."""
    return f"{amount:.0f}" if float(amount).is_integer() else f"{round(amount * 1000)}m"


def size(amount: int) -> str:
    """Write bytes."""
    for unit, factor in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if amount % factor == 0:
            return f"{amount // factor}{unit}"
    return str(amount)


def bare(value: Any) -> Any:
    """Return an object as the cluster gets it: without the comments that are for readers."""
    if isinstance(value, dict):
        return {key: bare(inner) for key, inner in value.items() if not key.startswith("#")}
    return [bare(inner) for inner in value] if isinstance(value, list) else value
