"""What processes and everything below them cost, read from ``/proc``: CPU seconds and memory."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a tree of processes. ``PSS`` counts what is shared once, ``RSS`` once for each process."""

    size_bytes: int
    kind: str


def cpu_seconds(roots: tuple[int, ...]) -> float:
    """Return user and system time of processes, of those below them, and of those below that have ended."""
    ticks = os.sysconf("SC_CLK_TCK")
    return sum(sum(map(int, fields[11:15])) for fields in _tree(roots).values()) / ticks


def memory(roots: tuple[int, ...]) -> Memory | None:
    """Return the memory of processes and of those below them; RSS where PSS is not shown to this user."""
    pids = list(_tree(roots))
    if not pids:
        return None
    shares = [_rollup(pid) for pid in pids]
    if None not in shares:
        return Memory(sum(share or 0 for share in shares), "PSS")
    page = os.sysconf("SC_PAGE_SIZE")
    return Memory(sum(_resident(pid) for pid in pids) * page, "RSS")


def listeners(host: str, port: int) -> tuple[int, ...]:
    """Return the processes of this machine that listen on a port, without their children; none for other machines.

    Those of other users are not seen.
    """
    if not _is_here(host):
        return ()
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return ()
    parents = {pid: int(fields[1]) for pid, fields in _all().items() if _holds(pid, sockets)}
    return tuple(sorted(pid for pid, parent in parents.items() if parent not in parents))


def _tree(roots: tuple[int, ...]) -> dict[int, list[str]]:
    """Return the fields of ``stat`` after the name, by process."""
    everyone = _all()
    children: dict[int, list[int]] = {}
    for pid, fields in everyone.items():
        children.setdefault(int(fields[1]), []).append(pid)
    found, rest = {}, list(roots)
    while rest:
        pid = rest.pop()
        if pid in everyone:
            found[pid] = everyone[pid]
            rest += children.get(pid, [])
    return found


def _all() -> dict[int, list[str]]:
    found = {}
    for stat in _PROC.glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold anything.
            found[int(stat.parent.name)] = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
    return found


def _rollup(pid: int) -> int | None:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except FileNotFoundError:
        return 0
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _resident(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1])
    except OSError:
        return 0


def _is_here(host: str) -> bool:
    """Tell whether an address is one of this machine's: only those can be bound."""
    try:
        for family, kind, _, _, address in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM):
            with socket.socket(family, kind) as tried:
                tried.bind(address)
                return True
    except OSError:
        return False
    return False


def _inodes(port: int) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            rows = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _holds(pid: int, sockets: set[str]) -> bool:
    try:
        entries = list((_PROC / str(pid) / "fd").iterdir())
    except OSError:
        return False
    return any(_link(entry) in sockets for entry in entries)


def _link(entry: Path) -> str:
    """Return what an open file is; nothing for one that was closed meanwhile."""
    try:
        return str(entry.readlink())
    except OSError:
        return ""
