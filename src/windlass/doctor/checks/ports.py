"""Ports: those the server listens at are free, or who has them."""

from dataclasses import dataclass

from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Machine

NAME = "ports"
LOOKS_AT = "the ports 8000 (REST), 8001 (gRPC) and 8002 (metrics): free, or who has them"

_LISTENS = "0A"
_TABLES = ("proc/net/tcp", "proc/net/tcp6")
_OPTIONS = {8000: "--http-port", 8001: "--grpc-port", 8002: "--metrics-port"}


@dataclass(frozen=True, slots=True)
class Taken:
    """A port that somebody listens at; the program's name and number where they may be known."""

    port: int
    program: str
    process: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The ports that are wanted, and those that are taken."""

    wanted: tuple[int, ...]
    taken: tuple[Taken, ...]


def gather(machine: Machine) -> Facts:
    """Read the kernel's tables, and find who has the sockets."""
    sockets = {port: inode for table in _TABLES for port, inode in listening(machine.text(table) or "")}
    wanted = {f"socket:[{sockets[port]}]": port for port in machine.ports if port in sockets}
    owners = _owners(machine, set(wanted)) if wanted else {}
    taken = [Taken(port, *owners.get(socket, ("", ""))) for socket, port in wanted.items()]
    return Facts(machine.ports, tuple(sorted(taken, key=lambda one: one.port)))


def listening(table: str) -> list[tuple[int, str]]:
    """Return the ports that are listened at, and their sockets' numbers, of a table of ``/proc/net``."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return [(int(row[1].rpartition(":")[2], 16), row[9]) for row in rows if len(row) > 9 and row[3] == _LISTENS]


def _owners(machine: Machine, sockets: set[str]) -> dict[str, tuple[str, str]]:
    """Return program and process by socket. Those of other users only the administrator sees."""
    found = {}
    for process in filter(str.isdigit, machine.names("proc")):
        for handle in machine.names(f"proc/{process}/fd"):
            link = machine.link(f"proc/{process}/fd/{handle}")
            if link in sockets:
                found[link] = ((machine.text(f"proc/{process}/comm") or "").strip(), process)
    return found


def judge(facts: Facts) -> list[Diagnosis]:
    """Tell of each port that is taken."""
    if not facts.taken:
        return [Diagnosis(NAME, "ok", f"the ports {', '.join(map(str, facts.wanted))} are free")]
    return [_taken(one) for one in facts.taken]


def _taken(one: Taken) -> Diagnosis:
    option = _OPTIONS.get(one.port, "--http-port")
    by = f"`{one.program}` (process {one.process})" if one.process else "a process of another user"
    end = f"kill {one.process}" if one.process else f"sudo ss -ltnp 'sport = :{one.port}'"
    remedy = f"{end}   # or serve at another port: {option}={one.port + 1000}"
    return Diagnosis(NAME, "warning", f"port {one.port} is taken", by, remedy)
