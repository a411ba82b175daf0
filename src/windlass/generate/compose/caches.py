"""Volumes for what servers compile and download, which makes restarts short, and who they belong to."""

from windlass.config.project import Service
from windlass.generate.compose.container import Mapping, confined, limits, logging
from windlass.release import Release

OWNER = "own-caches"
IMAGE = "busybox:1.37"
_CACHE = "/cache"

# Where libraries keep what they compile and download.
ENVIRONMENT = {
    "HOME": "/tmp",
    "XDG_CACHE_HOME": _CACHE,
    "HF_HOME": f"{_CACHE}/huggingface",
    "TORCHINDUCTOR_CACHE_DIR": f"{_CACHE}/inductor",
    "TRITON_CACHE_DIR": f"{_CACHE}/triton",
    "CUDA_CACHE_PATH": f"{_CACHE}/cuda",
}


def volume_name(service: str) -> str:
    """Return the name of a service's cache."""
    return f"{service}-cache"


def mount(service: str) -> Mapping:
    """Return the mount of a service's cache."""
    return {"type": "volume", "source": volume_name(service), "target": _CACHE}


def environment(service: Service) -> Mapping:
    """Return the variables that lead libraries to the cache."""
    return ENVIRONMENT | ({"VLLM_CACHE_ROOT": f"{_CACHE}/vllm"} if service.runtime == "vllm" else {})


def foreign(release: Release) -> list[str]:
    """Return the services whose images were made by others: there is no `/cache` in them that belongs to the user."""
    return [name for name in release.project.services if not release.built(name)]


def owning(release: Release) -> Mapping:
    """Return the service that gives such caches to the user of the servers, and ends."""
    user = release.project.image.user
    names = foreign(release)
    return {
        "#owner": "Docker makes volumes for root where an image has no such folder, and servers are not root.",
        "image": IMAGE,
        "command": ["chown", f"{user}:{user}", *(f"/caches/{name}" for name in names)],
        "restart": "on-failure:3",
        **confined(release, user="0:0", add=("CHOWN",)),
        "network_mode": "none",
        "volumes": [{"type": "volume", "source": volume_name(name), "target": f"/caches/{name}"} for name in names],
        "deploy": {"resources": {"limits": limits(release, memory=64 * 2**20)}},
        "logging": logging(release, OWNER),
    }
