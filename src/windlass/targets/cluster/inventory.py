"""What a target has of a project: listed in the cluster itself, so that whatever is no more can be removed."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from windlass.targets.cluster.kubectl import Kubectl

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """An object, by what names it."""

    version: str
    kind: str
    namespace: str
    name: str

    @property
    def group(self) -> str:
        """The API group; empty for Kubernetes' first one."""
        return self.version.rpartition("/")[0]

    @property
    def told(self) -> str:
        """Its kind and name, as people say them."""
        return f"{self.kind} `{self.name}`"

    def manifest(self) -> Object:
        """Return as much of the object as deletes it."""
        metadata = {"name": self.name, **({"namespace": self.namespace} if self.namespace else {})}
        return {"apiVersion": self.version, "kind": self.kind, "metadata": metadata}


def entry(one: Object) -> Entry:
    """Return the entry of an object."""
    metadata = one["metadata"]
    return Entry(one["apiVersion"], one["kind"], metadata.get("namespace", ""), metadata["name"])


@dataclass(frozen=True, slots=True)
class Inventory:
    """The list of one project, a ConfigMap in its namespace."""

    kubectl: Kubectl
    namespace: str
    name: str

    def read(self) -> list[Entry]:
        """Return what is listed; nothing where nothing was ever applied."""
        found = self.kubectl.found("configmap", self.name, self.namespace)
        return [Entry(*one) for one in json.loads(found["data"]["objects"])] if found else []

    def write(self, entries: Iterable[Entry], labels: dict[str, str]) -> None:
        """List these."""
        listed = sorted(set(entries))
        lines = ",\n".join(json.dumps([one.version, one.kind, one.namespace, one.name]) for one in listed)
        metadata = {"name": self.name, "namespace": self.namespace, "labels": labels}
        data = {"objects": f"[\n{lines}\n]"}
        self.kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}))

    def remove(self) -> None:
        """Forget everything."""
        self.kubectl.run("delete", "configmap", self.name, f"--namespace={self.namespace}", "--ignore-not-found")


def delete(kubectl: Kubectl, entries: Iterable[Entry], known: set[str]) -> None:
    """Delete objects, and wait until what they own has ended too. Kinds that the cluster has forgotten went with it."""
    there = [one.manifest() for one in entries if one.group in known or not one.group]
    if there:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": there})
        kubectl.run("delete", "--ignore-not-found", "--cascade=foreground", "--filename=-", given=text)
