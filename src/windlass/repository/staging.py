"""Makes a version where nobody looks, and puts it among the others when it is whole."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from windlass.errors import RepositoryError
from windlass.repository.repository import ModelEntry
from windlass.repository.serving_policy import pin

_PREFIX = ".windlass-"


@dataclass(frozen=True, slots=True)
class Staged:
    """A version in the making: the number it will have, and the folder to write it into."""

    version: int
    folder: Path


@contextmanager
def new_version(entry: ModelEntry) -> Iterator[Staged]:
    """Yield a folder for the version after the highest; it becomes one when the block ends.

    Until somebody switches to it (``serving_policy.switch``), the model serves what it serves now. After an exception
    or an interruption nothing is left of it. Raises ``RepositoryError`` where the folder cannot be written,
    or where another program made a version of that number meanwhile.
    """
    version = max(entry.versions, default=0) + 1
    final = entry.path / str(version)
    with staging(entry.path.parent, entry.name) as folder:
        yield Staged(version, folder)
        pin(entry)
        publish(folder, final)


@contextmanager
def staging(repository: Path, name: str) -> Iterator[Path]:
    """Yield a folder on the disk of a repository that no server takes for a model; it is gone when the block ends.

    What processes that were killed have left there goes first.
    """
    with ExitStack() as stack:
        folder = _made(repository, name, stack)
        try:
            # Servers often run as somebody else.
            folder.chmod(0o755)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _made(repository: Path, name: str, stack: ExitStack) -> Path:
    """Make a folder, locked until the stack ends or the process does: one that is not locked is nobody's."""
    try:
        # Nobody takes a folder for abandoned that has just been made, and is about to be locked.
        with _lock(repository, wait=True) as orderly:
            if orderly:
                _remove_abandoned(repository)
            folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{name}-", dir=repository))
            stack.enter_context(_lock(folder))
            return folder
    except OSError as error:
        raise RepositoryError(
            f"cannot write into `{repository}`: {error.strerror}", hint="name a folder of models that is yours"
        ) from None


def _remove_abandoned(repository: Path) -> None:
    for left in repository.glob(f"{_PREFIX}*"):
        with _lock(left) as abandoned:
            if abandoned:
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _lock(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold the lock of a folder, and tell whether it is held: others may have it, and some disks know no locks."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        yield _held(descriptor, wait=wait)
    finally:
        os.close(descriptor)


def _held(descriptor: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def publish(folder: Path, final: Path) -> None:
    """Give a folder its final name in one step. Raises ``RepositoryError`` where that is taken."""
    if final.exists():
        raise RepositoryError(
            f"`{final}` is there already", found="made by somebody else meanwhile", hint="run the command again"
        )
    try:
        folder.replace(final)
    except OSError as error:
        raise RepositoryError(f"cannot write `{final}`: {error.strerror}") from None
