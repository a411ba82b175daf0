"""Reads what this machine offers to engines."""

import os
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from windlass.backends.cores import core_count
from windlass.optimize.tune.space import Machine

# Packages by the backend that runs on them, and those that quantise.
_ENGINES = {"onnxruntime": ("onnxruntime", "onnxruntime-gpu"), "openvino": ("openvino",), "pytorch": ("torch",)}
_TOOLS = ("nncf", "onnx", "torchao")


def this_machine() -> Machine:
    """Describe the machine. Engines are looked for, and only asked where a GPU may be."""
    cpu, flags = _cpu(Path("/proc/cpuinfo"))
    gpus = _gpus()
    return Machine(
        cpu=cpu,
        cores=core_count(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        flags=flags,
        engines={name: found for name, packages in _ENGINES.items() if (found := _version(packages))},
        tools={name: found for name in _TOOLS if (found := _version((name,)))},
        providers=_providers() if gpus else (),
        gpus=gpus,
    )


def _cpu(file: Path) -> tuple[str, frozenset[str]]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    told = {key.strip(): value.strip() for key, _, value in lines}
    return told.get("model name", ""), frozenset((told.get("flags") or told.get("Features") or "").split())


def _version(packages: tuple[str, ...]) -> str:
    for package in packages:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return ""


def _gpus() -> tuple[str, ...]:
    """Name the GPUs that NVIDIA's driver shows; it needs no framework to be loaded."""
    told = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    names = []
    for file in told:
        lines = file.read_text(errors="replace").splitlines()
        names += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return tuple(names)


def _providers() -> tuple[str, ...]:
    if find_spec("onnxruntime") is None:
        return ()
    import onnxruntime

    return tuple(onnxruntime.get_available_providers())
