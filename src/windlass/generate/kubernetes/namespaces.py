"""Namespaces: the project's and one for each tenant, with what a tenant may use."""

from windlass.config.project.security import Quota
from windlass.generate.kubernetes import confinement, objects
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import namespace_of, namespaces
from windlass.release import Release


def declared(release: Release) -> list[Object]:
    """Return the namespaces. `default` is everybody's: it is there, and it is not changed."""
    marks = {**objects.project_labels(release, "namespace"), **confinement.admission(release)}
    return [objects.declared("Namespace", name, None, marks) for name in namespaces(release) if name != "default"]


def quotas(release: Release, tenant: str) -> list[Object]:
    """Return what the services of a tenant may use together, and what a container gets that asks for nothing."""
    namespace = namespace_of(release, tenant)
    marks = objects.labels(release, tenant, "tenant")
    limits = {
        "type": "Container",
        "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
        "default": {"cpu": "1", "memory": "1Gi"},
    }
    found = [
        objects.declared("LimitRange", objects.named(release, tenant), namespace, marks, spec={"limits": [limits]})
    ]
    hard = _hard(release, release.project.tenants[tenant].quota)
    if hard:
        name = objects.named(release, tenant)
        found.insert(0, objects.declared("ResourceQuota", name, namespace, marks, spec={"hard": hard}))
    return found


def _hard(release: Release, quota: Quota) -> Object:
    resource = objects.cluster(release).gpu_resource
    found: Object = {}
    if quota.cpus:
        found |= {f"{kind}.cpu": objects.cores(quota.cpus) for kind in ("requests", "limits")}
    if quota.memory:
        found |= {f"{kind}.memory": objects.size(quota.memory) for kind in ("requests", "limits")}
    if quota.gpus is not None:
        found[f"requests.{resource}"] = str(quota.gpus)
    if quota.pods:
        found["pods"] = str(quota.pods)
    return found
