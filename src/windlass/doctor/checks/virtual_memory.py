"""Virtual memory: whether the kernel promises memory as frameworks expect, and whether weights end up on a disk."""

from dataclasses import dataclass

from windlass.doctor.checks.memory import kilobytes
from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Machine
from windlass.doctor.quantities import gib

NAME = "virtual_memory"
LOOKS_AT = "overcommit of virtual memory, and swap that is in use"

_STRICT = "2"
# Swapped out now and then is what nobody misses; more than this is felt by requests.
_FELT = 256 << 20


@dataclass(frozen=True, slots=True)
class Facts:
    """The kernel's rule, and bytes of swap."""

    overcommit: str
    swap: int
    free_swap: int


def gather(machine: Machine) -> Facts:
    """Read the kernel's settings."""
    told = kilobytes(machine.text("proc/meminfo") or "")
    rule = (machine.text("proc/sys/vm/overcommit_memory") or "").strip()
    return Facts(rule, told.get("SwapTotal", 0), told.get("SwapFree", 0))


def judge(facts: Facts) -> list[Diagnosis]:
    """Tell what will fail, and what will be slow."""
    return [_overcommit(facts), _swap(facts)]


def _overcommit(facts: Facts) -> Diagnosis:
    found = f"vm.overcommit_memory={facts.overcommit or 'unknown'}"
    if facts.overcommit != _STRICT:
        return Diagnosis(NAME, "ok", "memory may be reserved before it is used", found)
    return Diagnosis(
        NAME,
        "warning",
        "reserved memory counts as used: frameworks, CUDA first of all, reserve far more than they use, and fail",
        found,
        "sudo sysctl -w vm.overcommit_memory=0   # for good: a file in /etc/sysctl.d",
    )


def _swap(facts: Facts) -> Diagnosis:
    used = facts.swap - facts.free_swap
    if not facts.swap:
        return Diagnosis(NAME, "ok", "there is no swap: weights stay in memory")
    found = f"{gib(used)} of {gib(facts.swap)} are used"
    if used < _FELT:
        return Diagnosis(NAME, "ok", "swap is hardly used", found)
    remedy = "sudo sysctl -w vm.swappiness=1   # or more memory; `sudo swapoff -a` where there is enough"
    return Diagnosis(NAME, "warning", "memory was swapped out: requests wait for the disk", found, remedy)
