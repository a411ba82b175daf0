"""The clock: synchronised, so that certificates, traces and logs agree; and quick to read."""

import ctypes
from dataclasses import dataclass

from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Machine

NAME = "clock"
LOOKS_AT = "the clock: synchronised, and from a source that programs read without asking the kernel"

_SOURCE = "sys/devices/system/clocksource/clocksource0/current_clocksource"
# Those that are read in the program itself.
_QUICK = {"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "timebase"}
# Of adjtimex(2): what it returns, and a bit of the state, when nobody corrects the clock.
_ERROR, _UNSYNCHRONISED = 5, 0x40


@dataclass(frozen=True, slots=True)
class Facts:
    """Where time comes from, and whether it is corrected; ``None`` where that may not be asked."""

    source: str
    synchronised: bool | None


def gather(machine: Machine) -> Facts:
    """Ask the kernel."""
    return Facts((machine.text(_SOURCE) or "").strip(), _synchronised())


def _synchronised() -> bool | None:
    # The structure is larger than its members that matter: the state is the sixth of them, after five of 8 bytes each.
    state = (ctypes.c_long * 64)()
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(state)
    except (OSError, AttributeError):
        return None
    if answer < 0:
        return None
    status = ctypes.cast(ctypes.addressof(state) + 5 * ctypes.sizeof(ctypes.c_long), ctypes.POINTER(ctypes.c_int))[0]
    return answer != _ERROR and not status & _UNSYNCHRONISED


def judge(facts: Facts) -> list[Diagnosis]:
    """Tell whether times can be trusted, and what reading them costs."""
    return [_correct(facts), _quick(facts)]


def _correct(facts: Facts) -> Diagnosis:
    if facts.synchronised is None:
        return Diagnosis(NAME, "note", "whether the clock is corrected may not be asked here")
    if facts.synchronised:
        return Diagnosis(NAME, "ok", "the clock is synchronised")
    return Diagnosis(
        NAME,
        "warning",
        "nobody corrects the clock: certificates are refused, and traces of several machines do not fit",
        "the kernel says it is not synchronised",
        "sudo apt install chrony   # or: sudo timedatectl set-ntp true; in a container: on its host",
    )


def _quick(facts: Facts) -> Diagnosis:
    if not facts.source:
        return Diagnosis(NAME, "ok", "the kernel does not tell where it reads the time")
    if facts.source in _QUICK:
        return Diagnosis(NAME, "ok", "reading the clock is quick", facts.source)
    return Diagnosis(
        NAME,
        "warning",
        "every reading of the clock asks the kernel: requests are timed several times each",
        facts.source,
        f"echo tsc | sudo tee /{_SOURCE}   # where `available_clocksource` beside it has tsc",
    )
