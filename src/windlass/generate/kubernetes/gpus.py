"""GPUs of pods: asked for by number, alone or as a share that NVIDIA's device plugin deals out."""

from windlass.generate.kubernetes import objects
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import Server, servers
from windlass.generate.text import yaml_text
from windlass.release import Release

# Which of its configurations the device plugin uses on a node.
_CONFIGURATION = "nvidia.com/device-plugin.config"
_PIPES = {"mps": "mps", "time-slicing": "timeSlicing"}


def limits(server: Server) -> Object:
    """Return the GPUs that a container asks for."""
    gpus = server.value.gpus
    return {server.target.gpu_resource: gpus.number} if gpus else {}


def environment(server: Server) -> dict[str, str]:
    """Return what tells MPS how much memory a service may take of each GPU."""
    gpus = server.value.gpus
    if gpus is None or gpus.memory is None or gpus.share != "mps":
        return {}
    limit = f"{gpus.memory // 2**20}M"
    return {"CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": ",".join(f"{one}={limit}" for one in range(gpus.number))}


def node_selector(server: Server) -> dict[str, str]:
    """Return the label of nodes whose GPUs are dealt out as the service wants them."""
    gpus = server.value.gpus
    if gpus is None or gpus.share == "exclusive":
        return {}
    return {_CONFIGURATION: configuration_name(server.release, gpus.share)}


def configuration_name(release: Release, share: str) -> str:
    """Return the name of the device plugin's configuration for a way of sharing."""
    return objects.named(release, share)


def configuration(release: Release) -> list[Object]:
    """Return the device plugin's configuration for each way of sharing; none where no GPU is shared."""
    counts: dict[str, int] = {}
    for server in servers(release):
        gpus = server.value.gpus
        if gpus and gpus.share != "exclusive":
            counts[gpus.share] = counts.get(gpus.share, 0) + max(1, server.most_replicas)
    if not counts:
        return []
    resource = objects.cluster(release).gpu_resource
    data = {
        configuration_name(release, share): _text(share, resource, max(2, count)) for share, count in counts.items()
    }
    name = objects.named(release, "gpu-sharing")
    home = objects.cluster(release).namespace
    return [objects.declared("ConfigMap", name, home, objects.project_labels(release, "gpu-sharing"), data=data)]


def _text(share: str, resource: str, parts: int) -> str:
    """Divide each GPU into as many parts as there are replicas of the services that share."""
    ways = {_PIPES[share]: {"resources": [{"name": resource, "replicas": parts}]}}
    return yaml_text({"version": "v1", "sharing": ways})
