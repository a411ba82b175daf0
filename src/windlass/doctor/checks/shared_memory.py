"""``/dev/shm``: where clients on the same machine share tensors, and where processes of Python models meet."""

from dataclasses import dataclass
from pathlib import Path

from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Machine, Space
from windlass.doctor.quantities import gib

NAME = "shared_memory"
LOOKS_AT = "the size of `/dev/shm`, which clients' shared memory and processes that Python models start use"

# What Docker gives a container that asks for nothing.
_SMALL = 64 << 20
_SCARCE = 16 << 20
_REMEDY = "docker run --shm-size=1g ...   # Kubernetes: an emptyDir of medium Memory at /dev/shm"


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is of it."""

    space: Space | None


def gather(machine: Machine) -> Facts:
    """Measure it."""
    folder = machine.root / "dev" / "shm"
    return Facts(machine.space(Path(folder)) if folder.is_dir() else None)


def judge(facts: Facts) -> list[Diagnosis]:
    """Tell whether there is enough."""
    space = facts.space
    if space is None:
        what = "there is no /dev/shm: no client can share tensors, and Python's multiprocessing fails"
        return [Diagnosis(NAME, "warning", what, remedy=_REMEDY)]
    found = f"{gib(space.free_bytes)} of {gib(space.size_bytes)} are free"
    if not space.writable:
        return [Diagnosis(NAME, "warning", "/dev/shm may not be written", found, "sudo chmod 1777 /dev/shm")]
    if space.free_bytes < _SCARCE:
        remedy = f"ls -la /dev/shm   # remove what nobody uses; or {_REMEDY}"
        return [Diagnosis(NAME, "error", "/dev/shm is full: who shares tensors crashes (`Bus error`)", found, remedy)]
    if space.size_bytes <= _SMALL:
        what = "/dev/shm is small: tensors in shared memory, and PyTorch's loaders in Python models, soon fill it"
        return [Diagnosis(NAME, "warning", what, found, _REMEDY)]
    return [Diagnosis(NAME, "ok", "/dev/shm is large enough", found)]
