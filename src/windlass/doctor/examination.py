"""Runs all checks at once. One that does not come back is a finding like any other: a broken driver hangs who asks."""

import threading
from importlib import import_module
from typing import Any

from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Machine

# Modules of ``windlass.doctor.checks``: each has ``gather``, which looks, and ``judge``, which knows.
CHECKS = (
    "driver",
    "visible_devices",
    "pytorch",
    "onnxruntime",
    "containers",
    "processor",
    "threads",
    "memory",
    "virtual_memory",
    "huge_pages",
    "shared_memory",
    "ports",
    "disk",
    "open_files",
    "clock",
)
# Programs and frameworks are given less each; this is for what cannot even be killed.
DEADLINE_S = 45.0


def examine(machine: Machine, deadline_s: float = DEADLINE_S) -> list[Diagnosis]:
    """Return what all checks found, in their order.

    Checks run in daemon threads: a program that waits inside a driver cannot be ended, and must not be waited for.
    """
    results: dict[str, list[Diagnosis]] = {}
    faults: list[Exception] = []

    def run(name: str) -> None:
        try:
            results[name] = diagnose(name, machine)
        except Exception as fault:
            faults.append(fault)

    threads = {name: threading.Thread(target=run, args=(name,), daemon=True) for name in CHECKS}
    for thread in threads.values():
        thread.start()
    until = machine.now() + deadline_s
    for thread in threads.values():
        thread.join(max(0.0, until - machine.now()))
    if faults:
        raise faults[0]
    return [found for name in CHECKS for found in results.get(name) or [_silent(name, deadline_s)]]


def diagnose(name: str, machine: Machine) -> list[Diagnosis]:
    """Run one check."""
    check: Any = import_module(f"windlass.doctor.checks.{name}")
    found: list[Diagnosis] = check.judge(check.gather(machine))
    return found


def _silent(name: str, deadline_s: float) -> Diagnosis:
    return Diagnosis(
        name,
        "error",
        "what it asks does not answer",
        f"nothing after {deadline_s:g} s",
        "dmesg | tail -50   # a driver that hangs says why; a restart of the machine is the usual way out",
    )
