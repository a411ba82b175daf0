"""The machine as checks see it: texts of files, what programs say, what frameworks find. Nothing is judged here."""

import importlib.util
import json
import os
import shutil
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from windlass.errors import TargetError
from windlass.targets import shell

T = TypeVar("T")
PORTS = (8000, 8001, 8002)
_PROBE = Path(__file__).with_name("probe.py")
# A GPU that nobody uses takes a second or two to wake up.
PROGRAM_TIMEOUT_S = 5.0
# The first import of PyTorch on a cold disk.
FRAMEWORK_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said, and how it ended; -1 when it took too long."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What a framework says of itself in a process of its own: ``facts`` where it came that far, else why not."""

    state: str
    facts: Mapping[str, Any]
    said: str = ""


@dataclass(frozen=True, slots=True)
class Space:
    """What there is of a disk, and what is left."""

    size_bytes: int
    free_bytes: int
    free_files: int | None
    writable: bool


class Machine:
    """This machine. ``root`` stands for ``/``; ``repository`` is what is to be served here."""

    def __init__(
        self,
        *,
        root: Path = Path("/"),
        environment: Mapping[str, str] | None = None,
        repository: Path | None = None,
        ports: tuple[int, ...] = PORTS,
    ) -> None:
        self.root = root
        self.environment = dict(os.environ) if environment is None else environment
        self.repository = repository
        self.ports = ports
        self._known: dict[str, Any] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def now(self) -> float:
        """Return the time by a clock that nobody sets."""
        return time.monotonic()

    def text(self, path: str) -> str | None:
        """Return what a file says; ``None`` where there is none, or it may not be read."""
        try:
            return (self.root / path).read_text(errors="replace")
        except OSError:
            return None

    def names(self, folder: str) -> tuple[str, ...]:
        """Return what a folder has; nothing where there is none."""
        try:
            return tuple(sorted(path.name for path in (self.root / folder).iterdir()))
        except OSError:
            return ()

    def is_there(self, path: str) -> bool:
        """Tell whether there is a file or a folder, as far as this user may know."""
        return _is_there(self.root / path)

    def link(self, path: str) -> str:
        """Return where a link leads; nothing where it may not be asked."""
        try:
            return str((self.root / path).readlink())
        except OSError:
            return ""

    def may_use(self, path: str) -> bool:
        """Tell whether a device may be read and written."""
        return os.access(self.root / path, os.R_OK | os.W_OK)

    def space(self, path: Path) -> Space | None:
        """Return the space on the disk where a path is, or will be."""
        there = next((folder for folder in (path, *path.parents) if _is_there(folder)), None)
        if there is None:
            return None
        found = os.statvfs(there)
        size, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
        return Space(size, free, found.f_favail if found.f_files else None, os.access(there, os.W_OK))

    def has(self, program: str) -> bool:
        """Tell whether a program is on the path."""
        return shutil.which(program) is not None

    def ask(self, *words: str, timeout_s: float = PROGRAM_TIMEOUT_S) -> Answer | None:
        """Return what a program said; ``None`` where it is not there."""
        try:
            return Answer(0, shell.run(words, timeout_s=timeout_s))
        except shell.ProgramError as error:
            return Answer(error.status, f"{error.printed}\n{error.said}".strip())
        except TargetError:
            return None

    def probe(self, name: str) -> Probe:
        """Ask a framework, once: in a process of its own with a time limit, since a broken driver hangs or kills it."""
        if name != "cuda" and importlib.util.find_spec(name) is None:
            return Probe("absent", {})
        return self.once(name, lambda: self._asked(name))

    def once(self, what: str, find: Callable[[], T]) -> T:
        """Return what was found out already, for checks that want the same facts; else find it out."""
        with self._locks[what]:
            if what not in self._known:
                self._known[what] = find()
            known: T = self._known[what]
            return known

    def _asked(self, name: str) -> Probe:
        try:
            said = shell.run([sys.executable, "-P", str(_PROBE), name], timeout_s=FRAMEWORK_TIMEOUT_S)
        except shell.ProgramError as error:
            state = "hung" if "took longer" in error.message else "crashed"
            return Probe(state, {"status": error.status}, error.said)
        except TargetError as error:
            return Probe("crashed", {"status": "nothing"}, error.message)
        return Probe("found", json.loads(said.splitlines()[-1]))


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return True
