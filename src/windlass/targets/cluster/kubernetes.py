"""A release on a Kubernetes cluster, through kubectl: applied, waited for, told about, and taken away."""

import base64
import json
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from windlass.config.project import KubernetesTarget, Project
from windlass.errors import TargetError
from windlass.generate import kubernetes, render
from windlass.generate.kubernetes import objects, readme, secrets
from windlass.generate.kubernetes.objects import PART_OF, bare
from windlass.generate.kubernetes.server import Server
from windlass.release import Release
from windlass.targets import rendered
from windlass.targets.cluster.inventory import Entry, Inventory, delete, entry
from windlass.targets.cluster.kubectl import Kubectl, Object
from windlass.targets.cluster.pods import condition, image, restarts
from windlass.targets.cluster.rollout import Rollout, explained
from windlass.targets.cluster.workloads import KINDS, service_of, workloads
from windlass.targets.secrets import secret
from windlass.targets.shell import ProgramError
from windlass.targets.target import Progress, Replica

# What holds data, or other people's things too: it stays unless somebody asks for it to go.
_KEPT = ("PersistentVolumeClaim", "Namespace")
_CLAIMS = "persistentvolumeclaims"
# Lines of logs that wait for their reader.
_LINES = 1000
# Seconds that a fault must last before it is taken for one that does not pass: stores of secrets take their time.
PATIENCE_S = 20.0


class Cluster:
    """What runs of a project on one Kubernetes target; ``folder`` is where its files are rendered."""

    def __init__(
        self, project: Project, name: str, folder: Path, project_folder: Path, *, patience_s: float = PATIENCE_S
    ) -> None:
        target = project.targets[name]
        if not isinstance(target, KubernetesTarget):
            raise ValueError(f"this is a bug in windlass: target `{name}` is no cluster")
        self._project = project
        self._home = target.namespace
        self._folder = folder
        self._project_folder = project_folder
        self._patience_s = patience_s
        self._kubectl = Kubectl(target.context)
        self._inventory = Inventory(self._kubectl, target.namespace, objects.fitting(f"{project.name}-inventory"))

    def up(self, release: Release, progress: Progress, *, timeout_s: float) -> None:
        """Apply every object and the secrets they need, remove what is no more, and wait until all is ready."""
        deadline = time.monotonic() + timeout_s
        wanted = _objects(release)
        given = self._secrets(release)
        known = self._known(wanted)
        rendered.write(self._folder, render.files(release))
        self._apply(wanted, given, known, progress)
        self._wait(progress, deadline)

    def plan(self, release: Release) -> str:
        """Return how objects would differ from those in the cluster, and which would be made or removed."""
        wanted = _objects(release)
        self._known(wanted)
        absent = self._absent(wanted)
        there = [one for one in wanted if one["metadata"].get("namespace", one["metadata"]["name"]) not in absent]
        lines = [f"+ {entry(one).told} in namespace `{_place(one)}`" for one in wanted if one not in there]
        gone = [] if self._home in absent else self._gone(release, wanted)
        lines += [f"- {one.told} in namespace `{one.namespace}`" for one in gone]
        for one in secrets.missing(release):
            if one.namespace in absent or self._kubectl.found("secret", one.name, one.namespace) is None:
                lines.append(f"+ Secret `{one.name}` in namespace `{one.namespace}`")
        different = self._kubectl.diff(_listed(there)) if there else ""
        return "\n".join([*lines, *different.splitlines()])

    def down(self, progress: Progress, *, volumes: bool = False) -> None:
        """Delete everything that was applied: servers finish what they have begun. Namespaces stay."""
        listed = self._inventory.read()
        if not listed:
            progress("nothing is running")
            return
        known = self._kubectl.groups()
        going = [one for one in listed if one.kind not in _KEPT]
        progress(f"deleting {len(going)} objects; servers finish what they have begun")
        delete(self._kubectl, reversed(going), known)
        namespaces = sorted({one.namespace for one in listed if one.namespace})
        for namespace in namespaces if volumes else ():
            progress(f"deleting the volumes in `{namespace}`")
            self._kubectl.run("delete", _CLAIMS, f"--namespace={namespace}", self._selected)
        # Claims of a StatefulSet are its own, and on no list.
        claims = [one for place in namespaces for one in self._kubectl.objects(_CLAIMS, place, self._selected)]
        left = [entry({"apiVersion": "v1", "kind": "PersistentVolumeClaim", **one}) for one in claims]
        if left and not volumes:
            self._inventory.write(left, self._labels)
        else:
            self._inventory.remove()

    def status(self) -> list[Replica]:
        """Return every pod there is, and workloads whose pods the cluster refuses to make."""
        found = [one for namespace in self._namespaces() for one in self._items(namespace)]
        replicas = [self._replica(one) for one in found if one["kind"] == "Pod" and not _is_job(one)]
        refused = [
            Replica(work.service, work.name, how.state, reason=how.reason)
            for work in workloads(found)
            for one, how in work.waiting
            if one["kind"] != "Pod"
        ]
        return sorted([*replicas, *refused], key=lambda one: (one.service, one.name))

    def logs(self, service: str | None, *, follow: bool, tail: int) -> Iterator[str]:
        """Yield lines of the pods' logs, each with the name of its pod."""
        selector = self._selected if service is None else f"{self._selected},{_of_service(service)}"
        words = [f"--tail={tail}", "--prefix", "--all-containers", "--max-log-requests=100", "--ignore-errors"]
        commands = [
            ("logs", f"--namespace={namespace}", selector, *words, *(["--follow"] if follow else []))
            for namespace in self._namespaces()
        ]
        yield from self._together(commands) if follow and len(commands) > 1 else self._in_turn(commands)

    def scale(self, release: Release, service: str, replicas: int, progress: Progress) -> None:
        """Run another number of replicas; an autoscaler is held to it. The next `up` returns to the project file."""
        server = Server(release, service)
        place = f"--namespace={server.namespace}"
        progress(f"{service}: {replicas} replicas")
        autoscaler = self._kubectl.found("horizontalpodautoscaler", server.name, server.namespace)
        if autoscaler and replicas:
            change = json.dumps({"spec": {"minReplicas": replicas, "maxReplicas": replicas}})
            self._kubectl.run("patch", "hpa", server.name, place, "--type=merge", f"--patch={change}")
        self._kubectl.run("scale", f"{server.kind.lower()}/{server.name}", place, f"--replicas={replicas}")
        self._wait(progress, time.monotonic() + server.value.startup + 60, only=service)

    def restart(self, service: str | None, progress: Progress) -> None:
        """Replace pods one after the other; each new one is ready before the next old one goes."""
        found = [one for namespace in self._namespaces() for one in workloads(self._items(namespace))]
        chosen = [one for one in found if service in (None, one.service)]
        if not chosen:
            raise TargetError(f"nothing runs of `{service or self._project.name}`", hint="start it with `windlass up`")
        for one in chosen:
            progress(f"restarting {one.service}")
            self._kubectl.run("rollout", "restart", f"{one.kind.lower()}/{one.name}", f"--namespace={one.namespace}")
            startup = max(value.startup for value in self._project.services.values())
            self._wait(progress, time.monotonic() + one.wanted * (startup + 60), only=one.service)

    @property
    def _selected(self) -> str:
        return f"--selector={PART_OF}={self._project.name}"

    @property
    def _labels(self) -> dict[str, str]:
        return {PART_OF: self._project.name, objects.MANAGED_BY: "windlass"}

    def _known(self, wanted: list[Object]) -> set[str]:
        """Return the API groups of the cluster; it has all that are needed."""
        known = self._kubectl.groups()
        missing = sorted({entry(one).group for one in wanted} - known - {""})
        if missing:
            needed = "; ".join(dict.fromkeys(readme.PROVIDERS.get(group, group) for group in missing))
            raise TargetError(f"the cluster does not know {', '.join(missing)}", hint=f"install {needed}")
        return known

    def _secrets(self, release: Release) -> list[Object]:
        """Return the Secrets that nobody else makes. They go to kubectl through a pipe, and nowhere else."""
        found = []
        for made in secrets.missing(release):
            values = {
                key: secret(release.project, name, self._project_folder).encode() for key, name in made.entries.items()
            }
            metadata = {"name": made.name, "namespace": made.namespace, "labels": self._labels}
            data = {key: base64.b64encode(value).decode() for key, value in values.items()}
            found.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": made.type, "data": data})
        return found

    def _apply(self, wanted: list[Object], given: list[Object], known: set[str], progress: Progress) -> None:
        """Apply objects. All that is about to be there is listed before, so that nothing is forgotten on the way."""
        first = [one for one in wanted if one["kind"] == "Namespace"]
        if first:
            self._kubectl.apply(_listed(first))
        before = self._inventory.read()
        now = [entry(one) for one in (*wanted, *given)]
        self._inventory.write([*before, *now], self._labels)
        if given:
            progress(f"{len(given)} secrets")
            self._kubectl.apply(_listed(given))
        progress(f"{len(wanted)} objects")
        self._kubectl.apply(_listed([one for one in wanted if one not in first]))
        gone = [one for one in before if one not in now]
        leaving = [one for one in gone if one.kind not in _KEPT]
        for one in leaving:
            progress(f"removing {one.told}")
        delete(self._kubectl, leaving, known)
        self._inventory.write([*now, *(one for one in gone if one.kind in _KEPT)], self._labels)

    def _gone(self, release: Release, wanted: list[Object]) -> list[Entry]:
        now = {entry(one) for one in wanted}
        made = {(one.name, one.namespace) for one in secrets.missing(release)}
        listed = [one for one in self._inventory.read() if one not in now and one.kind not in _KEPT]
        return [one for one in listed if one.kind != "Secret" or (one.name, one.namespace) not in made]

    def _absent(self, wanted: list[Object]) -> set[str]:
        """Return the namespaces that are not there yet."""
        places = {one["metadata"].get("namespace") for one in wanted} - {None}
        return {str(place) for place in places if self._kubectl.found("namespace", str(place)) is None}

    def _namespaces(self) -> list[str]:
        listed = {one.namespace for one in self._inventory.read() if one.namespace}
        return sorted(listed or {self._home})

    def _items(self, namespace: str) -> list[Object]:
        return self._kubectl.objects(KINDS, namespace, self._selected)

    def _wait(self, progress: Progress, deadline: float, only: str | None = None) -> None:
        """Tell how each workload comes along, until all are ready or one cannot become it."""
        rollout = Rollout(progress, self._patience_s)
        while True:
            found = [one for namespace in self._namespaces() for one in workloads(self._items(namespace))]
            chosen = [one for one in found if only in (None, one.service)]
            now = time.monotonic()
            if rollout.done(chosen, now):
                return
            fault = rollout.fault(chosen, now, late=now > deadline)
            if fault:
                work, pod, how = fault
                what = "does not become ready" if how.hopeless else "is not ready in time"
                hint = f"read `windlass logs {work.service}`; what runs stays until `windlass down`"
                sentence = explained(self._kubectl, pod, how)
                raise TargetError(f"`{work.service}` {what}", found=sentence or None, hint=hint)
            time.sleep(1.0)

    def _replica(self, pod: Object) -> Replica:
        how = condition(pod)
        reason = explained(self._kubectl, pod, how) if how.state not in ("ready", "stopped") else how.reason
        return Replica(
            service=service_of(pod),
            name=pod["metadata"]["name"],
            state=how.state,
            image=image(pod),
            restarts=restarts(pod),
            started=pod["status"].get("startTime", ""),
            reason=reason,
        )

    def _in_turn(self, commands: list[tuple[str, ...]]) -> Iterator[str]:
        for words in commands:
            with self._kubectl.lines(*words) as lines:
                yield from map(_with_pod, lines)

    def _together(self, commands: list[tuple[str, ...]]) -> Iterator[str]:
        """Yield lines of several commands as they come."""
        read: queue.Queue[str | None] = queue.Queue(_LINES)

        def follow(words: tuple[str, ...]) -> None:
            try:
                for line in self._in_turn([words]):
                    read.put(line)
            except ProgramError as error:
                read.put(str(error))
            read.put(None)

        for words in commands:
            threading.Thread(target=follow, args=(words,), daemon=True).start()
        ended = 0
        while ended < len(commands):
            line = read.get()
            if line is None:
                ended += 1
            else:
                yield line


def _objects(release: Release) -> list[Object]:
    return [bare(one) for declared in kubernetes.manifests(release).values() for one in declared]


def _listed(found: list[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": found})


def _place(one: Object) -> str:
    return str(one["metadata"].get("namespace", one["metadata"]["name"]))


def _of_service(service: str) -> str:
    return f"{objects.COMPONENT}=gateway" if service == "gateway" else f"{objects.NAME}={service}"


def _is_job(pod: dict[str, Any]) -> bool:
    return any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences", ()))


def _with_pod(line: str) -> str:
    """Turn kubectl's `[pod/NAME/CONTAINER] text` into `NAME | text`."""
    if not line.startswith("[pod/"):
        return line
    place, _, text = line[len("[pod/") :].partition("] ")
    pod, _, container = place.partition("/")
    return f"{pod if container in ('server', 'nginx') else place} | {text}"
