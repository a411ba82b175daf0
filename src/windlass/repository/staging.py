"""Makes a version where nobody looks, and puts it among the others when it is whole."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from windlass.errors import RepositoryError
from windlass.repository.repository import ModelEntry
from windlass.repository.serving_policy import pin


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
    """Yield a folder on the disk of a repository that no server takes for a model; it is gone when the block ends."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=repository))
    except OSError as error:
        raise RepositoryError(
            f"cannot write into `{repository}`: {error.strerror}", hint="name a folder of models that is yours"
        ) from None
    # Servers often run as somebody else.
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
