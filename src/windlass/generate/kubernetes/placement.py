"""On which nodes pods run: GPUs, spot capacity, labels that a node must have, and spread over hosts and zones."""

from windlass.generate.kubernetes import gpus
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import Server

HOST = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
# How clouds mark nodes that may vanish: as a label, and some as a taint too.
_SPOT = {
    "cloud.google.com/gke-spot": "true",
    "kubernetes.azure.com/scalesetpriority": "spot",
    "karpenter.sh/capacity-type": "spot",
    "eks.amazonaws.com/capacityType": "SPOT",
}


def placement(server: Server) -> Object:
    """Return what says where a pod may run."""
    found: Object = {}
    selector = {**server.value.placement.node_selector, **gpus.node_selector(server)}
    if selector:
        found["nodeSelector"] = selector
    if server.value.placement.spot:
        found["affinity"] = {"nodeAffinity": _spot_first()}
    tolerations = _tolerations(server)
    if tolerations:
        found["tolerations"] = tolerations
    if server.value.placement.spread != "none":
        found["topologySpreadConstraints"] = _spread(server)
    return found


def _spot_first() -> Object:
    """Prefer spot nodes, whichever cloud's; others will do."""
    terms = [
        {"weight": 100, "preference": {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}}
        for key, value in _SPOT.items()
    ]
    return {"preferredDuringSchedulingIgnoredDuringExecution": terms}


def _tolerations(server: Server) -> list[Object]:
    found: list[Object] = []
    if server.value.gpus:
        found.append({"key": server.target.gpu_resource, "operator": "Exists", "effect": "NoSchedule"})
    if server.value.placement.spot:
        found += [
            {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"} for key, value in _SPOT.items()
        ]
    return found


def _spread(server: Server) -> list[Object]:
    keys = [ZONE, HOST] if server.value.placement.spread == "zone" else [HOST]
    # Each release is spread by itself: what is about to go does not count.
    release = {} if server.value.stateful else {"matchLabelKeys": ["pod-template-hash"]}
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": server.selector},
            **release,
        }
        for key in keys
    ]
