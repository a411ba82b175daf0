"""``windlass serve`` of a repository, in a process of its own, for as long as somebody measures it."""

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from windlass.bench import footprint
from windlass.bench.footprint import Memory
from windlass.errors import ServerError
from windlass.targets import shell

_KEPT_LINES = 200
_SHOWN_LINES = 12


@dataclass(slots=True)
class _Said:
    """What a server says: its last lines, and where it listens."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    addresses: dict[str, str] = field(default_factory=dict)
    known: threading.Event = field(default_factory=threading.Event)

    def hear(self, line: str | None) -> None:
        if line is None:
            self.known.set()
            return
        try:
            fields = json.loads(line)
        except ValueError:
            fields = {"message": line}
        self.lines.append(str(fields.get("message", line)) if isinstance(fields, dict) else line)
        if isinstance(fields, dict) and "addresses" in fields:
            self.addresses = fields["addresses"]
            self.known.set()

    def last(self) -> str:
        return "\n".join(list(self.lines)[-_SHOWN_LINES:])


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs: where it listens, and what it costs."""

    http: str
    grpc: str
    pid: int
    _said: _Said

    def cpu_seconds(self) -> float:
        """Return the CPU time of its processes so far."""
        return footprint.cpu_seconds((self.pid,))

    def memory(self) -> Memory | None:
        """Return the memory of its processes now."""
        return footprint.memory((self.pid,))

    def said(self) -> str:
        """Return its last lines."""
        return self._said.last()


@contextmanager
def served(
    repository: Path,
    models: Sequence[str] = (),
    *,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    startup_s: float = 600.0,
) -> Iterator[Served]:
    """Serve models of a repository (all, when none is named) on free ports until the block ends.

    It is ready when the block begins. ``options`` are further ones of ``windlass serve``. No server is left behind,
    however this process ends. Raises ``ServerError`` with what the server said when it does not start.
    """
    said = _Said()
    words = [str(repository), "--json-logs=true", "--exit-on-error=true", "--exit-timeout-secs=5"]
    words += [f"--{door}-port=0" for door in ("http", "grpc", "metrics")]
    words += [word for name in models for word in ("--model", name)]
    with shell.companion(
        "windlass", "serve", *words, *options, hear=said.hear, environment=environment, patience_s=10.0
    ) as process:
        said.known.wait(startup_s)
        if not said.addresses:
            ended = process.poll() is not None or said.known.is_set()
            how = "ended before it was ready" if ended else f"was not ready after {startup_s:g} s"
            raise ServerError(
                f"`windlass serve {repository}` {how}",
                found=said.last() or None,
                hint=f"`windlass check {repository}` tells what is wrong with its models",
            )
        doors = said.addresses
        yield Served(f"http://{doors['http']}", f"grpc://{doors['grpc']}", process.pid, said)
