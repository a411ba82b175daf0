"""What keeps the pods of a service running: a Deployment, or a StatefulSet where replicas keep volumes."""

import math

from windlass.generate.kubernetes import pod, storage
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import TRACK, Server

# What may pass beyond the time to start until an update is called failed.
_PATIENCE_S = 120


def workload(server: Server) -> Object:
    """Return the workload of a service."""
    body = _stateful(server) if server.value.stateful else _stateless(server)
    found = server.declared(server.kind, server.name, spec=body)
    found["metadata"]["labels"][TRACK] = server.track
    return found


def account(server: Server) -> Object:
    """Return the service account of a service's pods: it may do nothing, and no token of it is mounted."""
    pulling = server.target.pull_secret
    return server.declared(
        "ServiceAccount",
        server.beside(),
        automountServiceAccountToken=False,
        **({"imagePullSecrets": [{"name": pulling}]} if pulling else {}),
    )


def disruption(server: Server) -> Object:
    """Return how many replicas may go at once when nodes are emptied."""
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": server.selector},
        # A pod that does not work shall not keep a node from being emptied.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return server.declared("PodDisruptionBudget", server.name, spec=spec)


def _stateless(server: Server) -> Object:
    return {
        **_replicas(server),
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": math.ceil(server.value.startup) + _PATIENCE_S,
        "selector": {"matchLabels": server.selector},
        "#strategy": _update(server),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": pod.template(server),
    }


def _stateful(server: Server) -> Object:
    return {
        "serviceName": server.headless,
        **_replicas(server),
        "revisionHistoryLimit": 3,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": server.selector},
        "#strategy": "Replica by replica, the last one first: with one replica there is a gap.",
        "updateStrategy": {"type": "RollingUpdate"},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "template": pod.template(server),
        "volumeClaimTemplates": storage.templates(server),
    }


def _update(server: Server) -> str:
    sentence = "A new pod is ready before an old one goes."
    gpus = server.value.gpus
    return f"{sentence} That takes a GPU more than there are replicas." if gpus else sentence


def _replicas(server: Server) -> Object:
    """Return the number of replicas, where nothing else decides it."""
    if server.value.autoscale:
        return {"#replicas": "`replicas` is left out: the autoscaler decides."}
    return {"replicas": server.value.replicas}
