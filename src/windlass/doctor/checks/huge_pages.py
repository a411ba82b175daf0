"""Huge pages: whether large arrays may have them, and whether memory is set aside for nobody."""

import re
from dataclasses import dataclass

from windlass.doctor.checks.memory import kilobytes
from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Machine
from windlass.doctor.quantities import gib

NAME = "huge_pages"
LOOKS_AT = "transparent huge pages, and huge pages that are set aside and used by nobody"

_SETTING = "/sys/kernel/mm/transparent_hugepage/enabled"
_WASTE = 1 << 30


@dataclass(frozen=True, slots=True)
class Facts:
    """What the kernel gives by itself, and what was set aside."""

    setting: str
    free_pages: int
    page_bytes: int


def gather(machine: Machine) -> Facts:
    """Read the kernel's settings."""
    text = machine.text("proc/meminfo") or ""
    free = re.search(r"^HugePages_Free:\s+(\d+)$", text, re.MULTILINE)
    setting = re.search(r"\[(\w+)\]", machine.text(_SETTING.lstrip("/")) or "")
    return Facts(setting[1] if setting else "", int(free[1]) if free else 0, kilobytes(text).get("Hugepagesize", 0))


def judge(facts: Facts) -> list[Diagnosis]:
    """Tell what could be quicker, and what is wasted."""
    return [_transparent(facts), *_set_aside(facts)]


def _transparent(facts: Facts) -> Diagnosis:
    if facts.setting == "never":
        what = "large arrays are kept in small pages, which costs models with large weights some percent"
        return Diagnosis(NAME, "note", what, "never", f"echo madvise | sudo tee {_SETTING}")
    if not facts.setting:
        return Diagnosis(NAME, "ok", "the kernel does not tell of huge pages")
    return Diagnosis(NAME, "ok", "large arrays may have huge pages", facts.setting)


def _set_aside(facts: Facts) -> list[Diagnosis]:
    wasted = facts.free_pages * facts.page_bytes
    if wasted < _WASTE:
        return []
    what = "memory is set aside as huge pages that nobody uses; models cannot have it"
    return [Diagnosis(NAME, "warning", what, gib(wasted), "sudo sysctl -w vm.nr_hugepages=0")]
