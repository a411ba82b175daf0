"""A node without containers: it accepts what the scheduler gives it, and says of every pod that it runs, or why not."""

import json
import threading
from typing import Any

import httpx

NAME = "node-1"
CAPACITY = {"cpu": "16", "memory": "64Gi", "ephemeral-storage": "200Gi", "pods": "110", "nvidia.com/gpu": "2"}
MERGE = {"Content-Type": "application/merge-patch+json"}
NOW = "2026-01-01T00:00:00Z"


class Node:
    """Plays the kubelet of one node."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.faults: dict[str, dict[str, str]] = {}
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def refuse(self, image: str, reason: str, message: str) -> None:
        """Let containers of an image wait from now on, with what a kubelet says of them."""
        self.faults[image] = {"reason": reason, "message": message}

    def start(self) -> None:
        """Join the cluster."""
        self.client.post("/api/v1/nodes", json={"metadata": {"name": NAME, "labels": {"kubernetes.io/hostname": NAME}}})
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "", "lastHeartbeatTime": NOW}
        status = {"capacity": CAPACITY, "allocatable": CAPACITY, "conditions": [ready]}
        self.patch(f"/api/v1/nodes/{NAME}/status", {"status": status})
        # A node begins with the mark of one that is not ready, which the controller left out here would take away.
        self.patch(f"/api/v1/nodes/{NAME}", {"spec": {"taints": []}})
        self.thread.start()

    def close(self) -> None:
        """Wait until the watch has noticed that the cluster is gone."""
        if self.thread.is_alive():
            self.thread.join(10)

    def patch(self, path: str, change: dict[str, Any]) -> None:
        """Change an object; one that is gone needs no change."""
        self.client.patch(path, content=json.dumps(change), headers=MERGE)

    def watch(self) -> None:
        """Follow the node's pods as long as the cluster runs."""
        mine = {"watch": "1", "fieldSelector": f"spec.nodeName={NAME}"}
        try:
            with self.client.stream("GET", "/api/v1/pods", params=mine, timeout=None) as events:
                for line in events.iter_lines():
                    event = json.loads(line)
                    if event["type"] in ("ADDED", "MODIFIED"):
                        self.see(event["object"])
        except httpx.TransportError:
            return

    def see(self, pod: dict[str, Any]) -> None:
        """Do with a pod what is next."""
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        if "deletionTimestamp" in pod["metadata"]:
            self.client.request("DELETE", path, json={"gracePeriodSeconds": 0})
        elif "containerStatuses" not in pod["status"]:
            self.patch(f"{path}/status", {"status": self.status(pod)})

    def status(self, pod: dict[str, Any]) -> dict[str, Any]:
        """Return what the node says of a pod."""
        containers = [self.container(container) for container in pod["spec"]["containers"]]
        ends = any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences", []))
        ready = all(container["ready"] for container in containers) and not ends
        if ends:
            done = {"exitCode": 0, "reason": "Completed", "startedAt": NOW, "finishedAt": NOW}
            containers = [{**container, "ready": False, "state": {"terminated": done}} for container in containers]
        phase = "Succeeded" if ends else "Running" if ready else "Pending"
        states = {"PodScheduled": True, "Initialized": True, "ContainersReady": ready, "Ready": ready}
        conditions = [{"type": kind, "status": str(state), "lastTransitionTime": NOW} for kind, state in states.items()]
        known = {"phase": phase, "podIP": "10.1.0.1", "startTime": NOW}
        return {**known, "conditions": conditions, "containerStatuses": containers}

    def container(self, container: dict[str, Any]) -> dict[str, Any]:
        """Return what the node says of a container."""
        image = container["image"]
        fault = self.faults.get(image)
        state = {"waiting": fault} if fault else {"running": {"startedAt": NOW}}
        fine = fault is None
        known = {"name": container["name"], "image": image, "imageID": "", "restartCount": 0}
        return {**known, "ready": fine, "started": fine, "state": state}
