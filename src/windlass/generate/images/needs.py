"""Which Python packages an image asks for. The exact files that answer are in a lock beside the project file."""

import hashlib
import json
from pathlib import PurePosixPath

from windlass.generate.images import bases
from windlass.release import DEVELOPMENT, Release

# Where wheels lie while an image is built.
WHEELS = "/wheels"
# The index of PyTorch without CUDA: the usual one brings gigabytes of it, for GPUs that are not there.
_TORCH_CPU = "--extra-index-url https://download.pytorch.org/whl/cpu"
_EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino", "pytorch": "torch"}


def asked(release: Release, name: str) -> list[str]:
    """Return the lines of a requirements file: windlass, the frameworks of a service's backends, its own packages."""
    service = release.service(name)
    backends = release.backends(name)
    lines = [_TORCH_CPU] if "pytorch" in backends and not service.gpus else []
    if service.runtime == "windlass":
        gpu = service.gpus is not None and "onnxruntime" in backends
        extras = [_EXTRAS[one] for one in backends if one in _EXTRAS and not (gpu and one == "onnxruntime")]
        lines.append(windlass(release, extras))
        # The package for GPUs takes the place of the other one; both together break each other.
        lines += ["onnxruntime-gpu>=1.20"] if gpu else []
    lines += tools(release) if name == DEVELOPMENT else []
    return lines + [f"--requirement {PurePosixPath(path).name}" for path in release.requirements(name)]


def tools(release: Release) -> list[str]:
    """Return what the development image has beside the packages of the services."""
    development = release.project.development
    if development is None:
        return []
    return [*(["jupyterlab>=4.4"] if development.jupyter else []), *development.packages]


def windlass(release: Release, extras: list[str]) -> str:
    """Return what stands for windlass itself: a version in the index, or a wheel of the project."""
    extra = f"[{','.join(extras)}]" if extras else ""
    wheel = wheel_file(release)
    if wheel:
        return f"windlass{extra} @ file://{WHEELS}/{PurePosixPath(wheel).name}"
    return f"windlass{extra}=={release.project.image.windlass or release.version}"


def wheel_file(release: Release) -> str | None:
    """Return the wheel that the project names, relative to its file."""
    named = release.project.image.windlass
    return named if named and named.endswith(".whl") else None


def fingerprint(release: Release, name: str) -> str:
    """Return the digest of everything that a lock answers: while it is the same, so is the lock."""
    inputs = {path: release.inputs.get(path) for path in (*release.requirements(name), wheel_file(release)) if path}
    question = {"base": bases.base(release, name), "asked": asked(release, name), "inputs": inputs}
    question["python"] = release.project.image.python
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]
