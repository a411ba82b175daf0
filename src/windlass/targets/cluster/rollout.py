"""Waiting for workloads: what is told on the way, when it is over, and what is known of a pod that does not start."""

from dataclasses import dataclass, field

from windlass.errors import TargetError
from windlass.targets.cluster.kubectl import Kubectl, Object
from windlass.targets.cluster.pods import Condition, claims
from windlass.targets.cluster.workloads import Workload
from windlass.targets.target import Progress

Fault = tuple[Workload, Object, Condition]


@dataclass
class Rollout:
    """What was told and seen so far, while somebody waits."""

    progress: Progress
    patience_s: float
    _told: dict[str, str] = field(default_factory=dict)
    _since: dict[tuple[str, str], float] = field(default_factory=dict)

    def done(self, found: list[Workload], now: float) -> bool:
        """Tell what is new; tells whether everything is ready."""
        for one in found:
            told = "ready" if one.done else self._sentence(one)
            if self._told.get(one.name) != told:
                self._told[one.name] = told
                self.progress(f"{one.service}: {told}")
        seen = {(pod["metadata"]["name"], how.reason) for one in found for pod, how in one.waiting if how.hopeless}
        self._since = {key: self._since.get(key, now) for key in seen}
        return all(one.done for one in found)

    def fault(self, found: list[Workload], now: float, *, late: bool) -> Fault | None:
        """Return what cannot become ready: a fault that has lasted; or, when it is late, whatever is not ready."""
        for one in found:
            for pod, how in one.waiting:
                lasted = now - self._since.get((pod["metadata"]["name"], how.reason), now)
                if how.hopeless and lasted >= self.patience_s:
                    return one, pod, how
        unready = [one for one in found if not one.done] if late else []
        for one in unready:
            for pod, how in one.waiting:
                return one, pod, how
        return (unready[0], {}, Condition("starting", unready[0].told)) if unready else None

    def _sentence(self, one: Workload) -> str:
        reasons = dict.fromkeys(how.reason for _, how in one.waiting if how.reason)
        return f"{one.told} ({'; '.join(reasons)})" if reasons else one.told


def explained(kubectl: Kubectl, pod: Object, how: Condition) -> str:
    """Return the sentence about a pod, with what its container said last, or what holds its volumes up."""
    if not pod:
        return how.reason
    if how.ended:
        last = _last_words(kubectl, pod, how.ended)
        return f"{how.reason}: {last}" if last else how.reason
    if "PersistentVolumeClaim" in how.reason:
        return _unbound(kubectl, pod) or how.reason
    if how.state == "unready" or not how.reason:
        event = _event(kubectl, pod["metadata"]["namespace"], pod["metadata"]["name"])
        return event or how.reason
    return how.reason


def _last_words(kubectl: Kubectl, pod: Object, container: str) -> str:
    metadata = pod["metadata"]
    place = (metadata["name"], f"--namespace={metadata['namespace']}", f"--container={container}", "--tail=1")
    for before in (("--previous",), ()):
        try:
            lines = kubectl.run("logs", *place, *before).strip().splitlines()
        except TargetError:
            continue
        if lines:
            return lines[-1]
    return ""


def _unbound(kubectl: Kubectl, pod: Object) -> str:
    namespace = pod["metadata"]["namespace"]
    for name in claims(pod):
        claim = kubectl.found("persistentvolumeclaim", name, namespace)
        if claim is None:
            return f"there is no volume claim `{name}`"
        if claim.get("status", {}).get("phase") != "Bound":
            why = _event(kubectl, namespace, name)
            return f"volume claim `{name}` has no volume{f': {why}' if why else ''}"
    return ""


def _event(kubectl: Kubectl, namespace: str, name: str) -> str:
    """Return the last thing that the cluster noted about an object."""
    events = kubectl.objects("events", namespace, f"--field-selector=involvedObject.name={name}")
    told = [one for one in events if one.get("type") == "Warning" or one["involvedObject"]["kind"] != "Pod"]
    latest = sorted(told, key=lambda one: one.get("lastTimestamp") or one.get("eventTime") or "")
    return str(latest[-1].get("message", "")).strip() if latest else ""
