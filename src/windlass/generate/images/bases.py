"""What images of servers begin with: Python on a slim Debian, or the CUDA runtime that frameworks were built for."""

from windlass.config.project import Service
from windlass.release import Release

_PYTHON = "python:{version}-slim-bookworm"
# ONNX Runtime's GPU package is built against CUDA 12 and cuDNN 9, and brings neither.
_CUDA_CUDNN = "nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04"
# PyTorch's package brings CUDA's libraries along; what is left for the base is the way to the driver.
_CUDA = "nvidia/cuda:12.8.1-base-ubuntu24.04"
CONDA = "mambaorg/micromamba:2.3.3-debian12-slim"
CONDA_BASE = "debian:bookworm-slim"


def python(release: Release) -> str:
    """Return the image that has the interpreter."""
    return _PYTHON.format(version=release.project.image.python)


def base(release: Release, name: str) -> str:
    """Return the image that a service's image is made on."""
    service: Service = release.service(name)
    if release.project.image.base:
        return release.project.image.base
    if service.gpus:
        return _CUDA_CUDNN if "onnxruntime" in release.backends(name) else _CUDA
    return CONDA_BASE if release.project.image.conda else python(release)


def lacks_python(release: Release, name: str) -> bool:
    """Tell whether the interpreter has to be brought to the base."""
    image = release.project.image
    return bool(release.service(name).gpus) and not image.base and not image.conda
