"""Disks: room where models, caches and temporary files are."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Machine, Space
from windlass.doctor.quantities import gib

NAME = "disk"
LOOKS_AT = "free space and files where the repository, the caches and temporary files are"

_LITTLE, _NOTHING = 2 << 30, 128 << 20
_FEW_FILES = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, what it is for, and what there is of its disk."""

    what: str
    path: str
    space: Space
    written: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """The places that are used."""

    places: tuple[Place, ...]


def gather(machine: Machine) -> Facts:
    """Measure the disks."""
    home = machine.environment.get("XDG_CACHE_HOME") or str(Path(machine.environment.get("HOME", "/root")) / ".cache")
    folders = [("caches", Path(home) / "windlass", True), ("temporary files", Path(tempfile.gettempdir()), True)]
    if machine.repository:
        folders.insert(0, ("models", machine.repository, False))
    measured = [(what, path, machine.space(path), written) for what, path, written in folders]
    return Facts(tuple(Place(what, str(path), space, written) for what, path, space, written in measured if space))


def judge(facts: Facts) -> list[Diagnosis]:
    """Tell of each place whether there is room."""
    return [_place(place) for place in facts.places]


def _place(place: Place) -> Diagnosis:
    space, found = place.space, f"{gib(place.space.free_bytes)} of {gib(place.space.size_bytes)} are free"
    where, look = f"`{place.path}`", f"du -xh --max-depth=1 {place.path} | sort -h   # shows what is large"
    if place.written and not space.writable:
        remedy = "export XDG_CACHE_HOME=/another/folder" if place.what == "caches" else "export TMPDIR=/another/folder"
        return Diagnosis(NAME, "warning", f"{where} for {place.what} may not be written", found, remedy)
    if space.free_bytes < _NOTHING:
        return Diagnosis(NAME, "error", f"the disk of {where} for {place.what} is full", found, look)
    if space.free_files is not None and space.free_files < _FEW_FILES:
        counted = f"{space.free_files} more files can be made"
        return Diagnosis(NAME, "error", f"the disk of {where} has no room for more files", counted, look)
    if space.free_bytes < _LITTLE:
        return Diagnosis(NAME, "warning", f"there is little room in {where} for {place.what}", found, look)
    return Diagnosis(NAME, "ok", f"there is room in {where} for {place.what}", found)
