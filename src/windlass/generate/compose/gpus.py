"""GPUs of containers: reserved by number or count, alone or shared through NVIDIA's MPS or in turns."""

from windlass.config.project.service import Gpus
from windlass.generate.compose.container import Mapping, confined, limits, logging, size
from windlass.release import Release

MPS_IMAGE = "nvidia/cuda:12.9.1-base-ubuntu24.04"
PIPES = "/mps"


def reservation(gpus: Gpus) -> Mapping:
    """Return the reservation of devices."""
    device: Mapping = {"driver": "nvidia", "capabilities": ["gpu"]}
    which: Mapping = {"device_ids": [str(number) for number in gpus.ids]} if gpus.ids else {"count": gpus.count}
    return {"devices": [device | which]}


def shared(release: Release) -> dict[str, Gpus]:
    """Return the services that share GPUs through MPS."""
    found = {name: service.gpus for name, service in release.project.services.items()}
    return {name: gpus for name, gpus in found.items() if gpus is not None and gpus.share == "mps"}


def client(gpus: Gpus) -> Mapping:
    """Return what a service needs to find MPS, and its share of the memory."""
    environment = {"CUDA_MPS_PIPE_DIRECTORY": PIPES}
    if gpus.memory:
        limit = f"{gpus.memory // 2**20}M"
        environment["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] = ",".join(f"{one}={limit}" for one in range(gpus.number))
    return environment


def daemon(release: Release) -> Mapping:
    """Return the service that runs MPS' control daemon, under the user of the servers it works for."""
    project = release.project
    members = shared(release)
    user = project.image.user
    ids = sorted({number for gpus in members.values() for number in gpus.ids})
    devices = (
        {"device_ids": [str(number) for number in ids]} if ids else {"count": max(g.number for g in members.values())}
    )
    return {
        "#mps": "Kernels of several services run on one GPU at the same time. The daemon and its clients must have\n"
        "the same user, share pipes (a volume in memory) and the memory of one IPC namespace.",
        "image": MPS_IMAGE,
        "entrypoint": ["nvidia-cuda-mps-control", "-f"],
        "init": True,
        "restart": "unless-stopped",
        **confined(release, user=f"{user}:{user}"),
        "environment": {
            "CUDA_MPS_PIPE_DIRECTORY": PIPES,
            "CUDA_MPS_LOG_DIRECTORY": "/tmp",
            "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        },
        "ipc": "shareable",
        "shm_size": size(sum(project.services[name].shared_memory for name in members)),
        "volumes": [{"type": "volume", "source": "mps", "target": PIPES}],
        "healthcheck": {
            "test": ["CMD-SHELL", "echo get_server_list | nvidia-cuda-mps-control"],
            "interval": "5s",
            "timeout": "5s",
            "retries": 3,
            "start_period": "30s",
            "start_interval": "1s",
        },
        "deploy": {"resources": {"limits": limits(release), "reservations": {"devices": [_device(devices)]}}},
        "network_mode": "none",
        "logging": logging(release, "mps"),
    }


def pipes(user: int) -> Mapping:
    """Return the volume of the daemon's pipes: in memory, owned by the user of the servers."""
    options = {"type": "tmpfs", "device": "tmpfs", "o": f"uid={user},gid={user},mode=0700"}
    return {"driver_opts": options}


def _device(which: Mapping) -> Mapping:
    return {"driver": "nvidia", "capabilities": ["gpu"], **which}
