"""What a pod's status means: how far it is, and in one sentence why it does not start."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

# Waiting does not help these: somebody has to change something.
_HOPELESS = {
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}
_BEGINNING = {"ContainerCreating", "PodInitializing", "ErrImagePull"}


@dataclass(frozen=True, slots=True)
class Condition:
    """How a pod is: a state of a replica, a sentence where it is not ready, and whether waiting may help.

    ``ended`` is the container whose last words tell more, where one has ended.
    """

    state: str
    reason: str = ""
    hopeless: bool = False
    ended: str = ""


def condition(pod: Object) -> Condition:
    """Return how a pod is."""
    if "deletionTimestamp" in pod["metadata"]:
        return Condition("stopped", "it finishes what it has begun")
    status = pod.get("status", {})
    if status.get("phase") == "Failed":
        return Condition("failed", _sentence(status) or "it has ended", hopeless=True)
    if _told(pod, "Ready", "True"):
        return Condition("ready")
    for container, init in _containers(pod):
        found = _of_container(pod, container, init)
        if found is not None:
            return found
    return _of_pod(pod)


def restarts(pod: Object) -> int:
    """Return how often containers of a pod were started again."""
    return sum(one.get("restartCount", 0) for one, _ in _containers(pod))


def image(pod: Object) -> str:
    """Return the image of a pod's first container."""
    return str(pod["spec"]["containers"][0]["image"])


def _containers(pod: Object) -> Iterator[tuple[Object, bool]]:
    status = pod.get("status", {})
    yield from ((one, True) for one in status.get("initContainerStatuses", ()))
    yield from ((one, False) for one in status.get("containerStatuses", ()))


def _of_container(pod: Object, container: Object, init: bool) -> Condition | None:
    """Return why a container keeps its pod from being ready; nothing where it does not."""
    state = container.get("state", {})
    waiting = state.get("waiting")
    if waiting:
        return _waiting(pod, container, waiting, init)
    ended = state.get("terminated")
    if ended and ended.get("exitCode"):
        return Condition("restarting", _ending(pod, container, ended, init), ended=container["name"])
    if init or ended or "running" not in state:
        return None
    if container.get("started") is False:
        again = container.get("restartCount", 0)
        return Condition("starting", f"it loads its models, for the {_ordinal(again + 1)} time" if again else "")
    return Condition("unready", "its readiness probe fails") if not container.get("ready") else None


def _waiting(pod: Object, container: Object, waiting: Object, init: bool) -> Condition | None:
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"):
        why = f": {message}" if message and not message.startswith("Back-off") else ""
        sentence = f"its image `{container['image']}` cannot be pulled{why}"
        return Condition("failed" if reason in _HOPELESS else "starting", sentence, hopeless=reason in _HOPELESS)
    last = container.get("lastState", {}).get("terminated")
    if reason == "CrashLoopBackOff" and last:
        sentence = _ending(pod, container, last, init)
        return Condition("failed", sentence, hopeless=True, ended=container["name"])
    if reason in _HOPELESS:
        return Condition("failed", _plainly(message) or reason, hopeless=True)
    return Condition("starting", message) if message and reason not in _BEGINNING else None


def _ending(pod: Object, container: Object, ended: Object, init: bool) -> str:
    who = f"init container `{container['name']}`" if init else "it"
    if ended.get("reason") == "OOMKilled":
        limit = _limit(pod, container["name"])
        return f"{who} needs more memory than its limit{f' of {limit}' if limit else ''}, and was killed"
    if ended.get("signal") or ended.get("exitCode", 0) > 128:
        return f"{who} was ended by signal {ended.get('signal') or ended['exitCode'] - 128}"
    return f"{who} ended with {ended.get('exitCode', 0)}"


def _limit(pod: Object, name: str) -> str:
    everything = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
    limits = [one.get("resources", {}).get("limits", {}) for one in everything if one["name"] == name]
    return str(limits[0].get("memory", "")) if limits else ""


def _of_pod(pod: Object) -> Condition:
    """Return why a pod is not ready of which no container tells anything."""
    for one in pod.get("status", {}).get("conditions", ()):
        if one["type"] == "PodScheduled" and one["status"] == "False":
            return Condition("starting", f"no node takes it: {_plainly(one.get('message', ''))}")
    return Condition("starting")


def claims(pod: Object) -> list[str]:
    """Return the claims that a pod mounts."""
    volumes = pod["spec"].get("volumes", ())
    return [one["persistentVolumeClaim"]["claimName"] for one in volumes if "persistentVolumeClaim" in one]


def _told(pod: Object, kind: str, status: str) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == kind and one["status"] == status for one in conditions)


def _sentence(status: Object) -> str:
    return ": ".join(one for one in (status.get("reason"), status.get("message")) if one)


def _plainly(message: str) -> str:
    """Return a message of the scheduler or kubelet without what only repeats it."""
    return message.partition(" preemption: ")[0].strip().rstrip(".").replace('"', "`")


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")
