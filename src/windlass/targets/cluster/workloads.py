"""How far the workloads of a project are, read from what the cluster says of them and their pods."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from windlass.generate.kubernetes.objects import COMPONENT, NAME
from windlass.targets.cluster.pods import Condition, condition

Object = dict[str, Any]
KINDS = "deployments.apps,statefulsets.apps,replicasets.apps,pods"
_REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or StatefulSet: how many of its newest pods are wanted and ready, and which of them are not."""

    service: str
    name: str
    kind: str
    namespace: str
    wanted: int
    ready: int
    done: bool
    waiting: tuple[tuple[Object, Condition], ...]

    @property
    def told(self) -> str:
        """How far it is."""
        return f"{self.ready} of {self.wanted} ready"


def workloads(items: Iterable[Object]) -> list[Workload]:
    """Return the workloads among objects of `KINDS`."""
    found = list(items)
    pods = [one for one in found if one["kind"] == "Pod"]
    sets = [one for one in found if one["kind"] == "ReplicaSet"]
    result = []
    for one in found:
        if one["kind"] == "Deployment":
            result.append(_deployment(one, _newest(one, sets), pods))
        elif one["kind"] == "StatefulSet":
            result.append(_stateful(one, pods))
    return result


def service_of(one: Object) -> str:
    """Return the service that an object belongs to: one of the project's, or a part beside them."""
    labels = one["metadata"]["labels"]
    return str(labels[NAME] if labels.get(COMPONENT) == "server" else labels.get(COMPONENT, labels[NAME]))


def _newest(deployment: Object, sets: list[Object]) -> Object | None:
    """Return the ReplicaSet of a Deployment's newest template."""
    revision = deployment["metadata"].get("annotations", {}).get(_REVISION)
    for one in sets:
        owned = any(
            owner["uid"] == deployment["metadata"]["uid"] for owner in one["metadata"].get("ownerReferences", ())
        )
        if owned and one["metadata"].get("annotations", {}).get(_REVISION) == revision:
            return one
    return None


def _deployment(one: Object, newest: Object | None, pods: list[Object]) -> Workload:
    status, wanted = one.get("status", {}), one["spec"].get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    settled = status.get("observedGeneration", 0) >= one["metadata"]["generation"]
    done = settled and updated == available == wanted and status.get("replicas", 0) == wanted
    mine = _owned(pods, newest) if newest else []
    return _workload(one, wanted, mine, done)


def _stateful(one: Object, pods: list[Object]) -> Workload:
    status, wanted = one.get("status", {}), one["spec"].get("replicas", 1)
    settled = status.get("observedGeneration", 0) >= one["metadata"]["generation"]
    newest = status.get("updateRevision", "")
    mine = [pod for pod in _owned(pods, one) if pod["metadata"]["labels"].get("controller-revision-hash") == newest]
    done = settled and len(mine) == status.get("readyReplicas", 0) == wanted
    return _workload(one, wanted, mine, done)


def _owned(found: list[Object], owner: Object) -> list[Object]:
    uid = owner["metadata"]["uid"]
    return [one for one in found if any(own["uid"] == uid for own in one["metadata"].get("ownerReferences", ()))]


def _workload(one: Object, wanted: int, pods: list[Object], done: bool) -> Workload:
    conditions = [(pod, condition(pod)) for pod in pods]
    waiting = [(pod, found) for pod, found in conditions if found.state not in ("ready", "stopped")]
    if refused := _refused(one):
        waiting.append((one, refused))
    ready = sum(found.state == "ready" for _, found in conditions)
    metadata = one["metadata"]
    return Workload(
        service_of(one), metadata["name"], one["kind"], metadata["namespace"], wanted, ready, done, tuple(waiting)
    )


def _refused(one: Object) -> Condition | None:
    """Return why the cluster makes no pods, where it refuses to."""
    for told in one.get("status", {}).get("conditions", ()):
        if told["type"] == "ReplicaFailure" and told["status"] == "True":
            return Condition(
                "failed", f"its pods are refused: {told.get('message', '')}".replace('"', "`"), hopeless=True
            )
    return None
