"""Compiled models kept between starts: a folder of this user, of bounded size, that several processes may use.

A file is one compiled model, behind a page that tells whether it is whole; a folder belongs to an engine that keeps
files by itself. Files are mapped, not read: what an engine leaves where it is costs no time and no memory of its own.
None is written to again once it has its name, so that no mapping loses its ground. Names begin with the engine and end
with a digest of all that the compiled model depends on: the model's files, the engine's version, the hardware, and how
it was compiled. What was not used for longest leaves first.
"""

import contextlib
import fcntl
import hashlib
import logging
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from windlass.backends.digests import Digests
from windlass.backends.filesystem import is_local

log = logging.getLogger("windlass")

DEFAULT_BYTES = 4 << 30
# Its own folder in the one that a person names: what it closes to others, and what it throws away, is nobody else's.
COMPILED = "windlass-compiled"
_MAGIC = b"windlass compiled 2 "
# A page, so that what lies aligned in a compiled model does so in memory.
_HEAD = 4096
_LOCK = ".lock"
_WRITING = ".writing-"
# Nobody writes for so long: whoever began it was killed.
_ABANDONED_S = 3600
_DIGESTS = ".digests"


class CompiledCache:
    """A folder of compiled models. What goes wrong in it is a line in the log: models are compiled as without it."""

    def __init__(self, folder: Path, limit_bytes: int = DEFAULT_BYTES) -> None:
        self.folder = folder
        self._limit_bytes = limit_bytes
        self._usable = self._open()

    def _open(self) -> bool:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            about = self.folder.stat()
            if about.st_uid != os.geteuid():
                log.warning("compiled models are not kept: `%s` belongs to somebody else", self.folder)
                return False
            # Engines trust what they load: nobody else may write here.
            self.folder.chmod(0o700)
            self._shrink(keep="")
        except OSError as error:
            log.warning("compiled models are not kept in `%s`: %s", self.folder, error.strerror)
            return False
        return True

    def digest(self, folder: Path) -> str:
        """Return the digest of the files of a version, but for its configuration; nothing where nothing is kept."""
        if not self._usable:
            return ""
        return Digests(self.folder / _DIGESTS).of(folder)

    def read(self, name: str) -> memoryview | None:
        """Return a compiled model; ``None`` where there is none, or none that can be trusted.

        It is a mapping of its file, where that is safe: whoever writes to it writes to memory of its own.
        """
        path = self.folder / name
        if not self._usable or not path.is_file():
            return None
        try:
            with path.open("rb") as file:
                about = os.fstat(file.fileno())
                if about.st_uid != os.geteuid():
                    log.warning("compiled model `%s` belongs to somebody else: it is not used", path)
                    return None
                whole = file.read(_HEAD) == _head(about.st_size - _HEAD)
                found = self._content(file) if whole else None
            os.utime(path)
        except OSError as error:
            log.warning("compiled model `%s` cannot be read: %s", path, error.strerror)
            return None
        if found is None:
            self.drop(name, "it is not what was written")
        return found

    def _content(self, file: BinaryIO) -> memoryview:
        if is_local(self.folder):
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))[_HEAD:]
        return memoryview(bytearray(file.read()))

    def write(self, name: str, data: bytes) -> None:
        """Keep a compiled model: others see all of it or nothing."""
        if not self._usable or len(data) > self._limit_bytes:
            return
        try:
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix=_WRITING, delete=False) as file:
                written = Path(file.name)
                try:
                    file.write(_head(len(data)))
                    file.write(data)
                    file.flush()
                    written.replace(self.folder / name)
                except BaseException:
                    written.unlink(missing_ok=True)
                    raise
            self._shrink(keep=name)
        except OSError as error:
            log.warning("compiled model `%s` is not kept: %s", self.folder / name, error.strerror)

    def folder_for(self, name: str) -> Path | None:
        """Return the folder of an engine that keeps files by itself; ``None`` where it has to do without."""
        path = self.folder / name
        if not self._usable:
            return None
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            os.utime(path)
        except OSError as error:
            log.warning("compiled models are not kept in `%s`: %s", path, error.strerror)
            return None
        return path

    def drop(self, name: str, reason: str) -> None:
        """Forget a compiled model that is no good; it is compiled again."""
        log.warning("compiled model `%s` is ignored, and made anew: %s", self.folder / name, reason)
        _remove(self.folder / name)

    def _shrink(self, keep: str) -> None:
        """Let those go that were not used for longest, until the rest is within bounds."""
        with self._locked():
            self._sweep()
            entries = [(path.stat().st_mtime_ns, _size(path), path) for path in self._entries()]
            total = sum(size for _, size, _ in entries)
            for _, size, path in sorted(entries):
                if total <= self._limit_bytes:
                    break
                if path.name != keep:
                    _remove(path)
                    total -= size
                    log.info("compiled model `%s` left, to make room", path)

    def _sweep(self) -> None:
        for left in self.folder.glob(f"{_WRITING}*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED_S:
                    left.unlink()

    def _entries(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if not path.name.startswith(".")]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / _LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def processor(text: str | None = None) -> str:
    """Return the kind of this machine's processor, of which machine code is made: its name and what it can do."""
    try:
        told = Path("/proc/cpuinfo").read_text(errors="replace") if text is None else text
    except OSError:
        told = ""
    first = told.strip().split("\n\n")[0].splitlines()
    return "\n".join(line for line in first if line.startswith(("model name", "flags", "Features", "CPU part")))


def name_of(engine: str, *depends: object) -> str:
    """Return the name of a compiled model, by all that it depends on."""
    return f"{engine}-{hashlib.sha256(repr(depends).encode()).hexdigest()[:32]}"


def _head(size: int) -> bytes:
    # Against disks that were full and files that were cut; that nobody else writes here is the folder's affair.
    return (_MAGIC + f"{size}\n".encode()).ljust(_HEAD, b"\0")


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(_size(below) for below in path.iterdir())
    try:
        return path.stat().st_size
    except OSError:
        # Somebody else has taken it away meanwhile.
        return 0


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
