"""The limit of open files: every connection is one."""

import re
from dataclasses import dataclass

from windlass.doctor.diagnosis import Diagnosis, Severity
from windlass.doctor.machine import Machine

NAME = "open_files"
LOOKS_AT = "the limit of open files, of which every connection takes one"

_FEW, _TOO_FEW = 4096, 256
_REMEDY = "ulimit -n 65536   # docker run --ulimit nofile=65536 ...; systemd: LimitNOFILE=65536"


@dataclass(frozen=True, slots=True)
class Facts:
    """How many files a process may have open, and how many it may allow itself; ``None`` is any number."""

    soft: int | None
    hard: int | None
    known: bool = True


def gather(machine: Machine) -> Facts:
    """Read the limits of this process, which a server that is started here has too."""
    return read(machine.text("proc/self/limits") or "")


def read(text: str) -> Facts:
    """Take the line of ``/proc/<process>/limits``."""
    found = re.search(r"^Max open files\s+(\w+)\s+(\w+)", text, re.MULTILINE)
    if found is None:
        return Facts(None, None, known=False)
    soft, hard = (int(word) if word.isdecimal() else None for word in found.groups())
    return Facts(soft, hard)


def judge(facts: Facts) -> list[Diagnosis]:
    """Tell whether connections will be refused."""
    if not facts.known:
        return [Diagnosis(NAME, "note", "the limit of open files is not told here")]
    found = f"{facts.soft or 'any number'}, of {facts.hard or 'any number'} that may be allowed"
    if facts.soft is not None and facts.soft < _FEW:
        severity: Severity = "error" if facts.soft < _TOO_FEW else "warning"
        what = f"about {max(facts.soft - 100, 0)} connections at a time, and no more"
        return [Diagnosis(NAME, severity, what, found, _REMEDY)]
    return [Diagnosis(NAME, "ok", "there is room for connections", found)]
