"""Whether memory and disk suffice for what is about to be done: told before hours are lost, or a machine is."""

import shutil
from pathlib import Path

from windlass.errors import RoomError

_CGROUPS = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def require_memory(needed_bytes: int, doing: str) -> None:
    """Raise ``RoomError`` where this process may not have that much more memory."""
    free = available_bytes()
    if free is not None and free < needed_bytes:
        raise RoomError(
            f"{doing} needs about {size(needed_bytes)} of memory",
            found=f"{size(free)} available",
            hint="end what else uses memory, raise the container's limit, or do it on a larger machine",
        )


def require_disk(needed_bytes: int, folder: Path, doing: str) -> None:
    """Raise ``RoomError`` where the disk of a folder has not that much left."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise RoomError(
            f"{doing} needs about {size(needed_bytes)} in `{folder}`",
            found=f"{size(free)} free",
            hint="remove versions that nobody serves any more, or make room on that disk",
        )


def available_bytes(meminfo: Path = _MEMINFO, cgroups: Path = _CGROUPS) -> int | None:
    """Return how much memory this process can still have: of the machine, and within its cgroup; ``None``: unknown."""
    found = [value for value in (_of_machine(meminfo), _of_cgroup(cgroups)) if value is not None]
    return min(found, default=None)


def _of_machine(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _of_cgroup(cgroups: Path) -> int | None:
    try:
        limit = (cgroups / "memory.max").read_text().strip()
        used = int((cgroups / "memory.current").read_text())
        stat = dict(line.split() for line in (cgroups / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    # Files that were read and are not in use any more count as used, and are given up when memory is wanted.
    return None if limit == "max" else int(limit) - used + int(stat.get("inactive_file", 0))


def size(count: int) -> str:
    """Return a number of bytes as people say it."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
