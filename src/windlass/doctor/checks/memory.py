"""Memory: what the cgroup or the machine has, against the files of the repository's models."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from windlass.backends import cgroup
from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Machine
from windlass.doctor.quantities import gib

NAME = "memory"
LOOKS_AT = "the memory limit of the cgroup, or the machine's memory, against the size of the repository's models"

# Engines keep weights in an order of their own beside those they read, and batches need room.
_FACTOR = 1.5
_MORE = "docker run --memory=8g ...   # Compose and Kubernetes: `memory: 8GiB` of the service in windlass.yaml"


@dataclass(frozen=True, slots=True)
class Facts:
    """Bytes: of the machine, free now, of the limit, and of the models' files; and who was killed for wanting more."""

    machine: int
    available: int
    limit: int | None
    models: int
    kills: int


def gather(machine: Machine) -> Facts:
    """Read limits and sizes."""
    told = kilobytes(machine.text("proc/meminfo") or "")
    return Facts(
        machine=told.get("MemTotal", 0),
        available=told.get("MemAvailable", 0),
        limit=cgroup.memory_limit(machine.root),
        models=_size(machine.repository) if machine.repository else 0,
        kills=cgroup.memory_kills(machine.root),
    )


def kilobytes(text: str) -> dict[str, int]:
    """Read the lines of ``/proc/meminfo`` that are sizes, in bytes."""
    return {name: int(size) * 1024 for name, size in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}


def judge(facts: Facts) -> list[Diagnosis]:
    """Compare what there is with what is needed."""
    have = min(facts.limit or facts.machine, facts.machine)
    kind = "the machine" if have == facts.machine else "the cgroup"
    found = f"{kind} has {gib(have)}, models have {gib(facts.models)} on disk"
    if facts.machine == 0:
        return [Diagnosis(NAME, "note", "how much memory there is is not told here")]
    if facts.models > have:
        what = Diagnosis(NAME, "error", "the models do not fit into memory", found, _MORE)
    elif facts.models * _FACTOR > have:
        little = "there is little memory for the models: engines need more than the files have"
        what = Diagnosis(NAME, "warning", little, found, _MORE)
    else:
        what = Diagnosis(NAME, "ok", f"{gib(have)} of memory may be used", found)
    return [what, *_killed(facts)]


def _killed(facts: Facts) -> list[Diagnosis]:
    if not facts.kills:
        return []
    what = "the kernel killed processes of this group, since they wanted more than its limit"
    return [Diagnosis(NAME, "warning", what, f"{facts.kills} so far", _MORE)]


def _size(repository: Path) -> int:
    found = (Path(folder, name) for folder, _, names in os.walk(repository) for name in names)
    return sum(_bytes(path) for path in found)


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        # A link that leads nowhere, or a folder that is not this user's.
        return 0
