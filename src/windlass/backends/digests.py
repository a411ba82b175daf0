"""Digests of models' files, remembered between starts: gigabytes are read when they have changed, and only then."""

import fcntl
import hashlib
import json
import logging
import tempfile
import time
from pathlib import Path

from windlass.repository.digest import digest, files
from windlass.repository.layout import CONFIG_FILE

log = logging.getLogger("windlass")

_MOST = 1000
# A file may change once more within the same tick of a file system's clock, and look as before.
_SETTLED_S = 2


class Digests:
    """A file with the digests of folders, each by what the file system knows of the files in it.

    As with the index of git: a file whose inode, size and times are those of the last time is the same. Several
    processes may have the file; what goes wrong with it costs reading, and nothing else.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def of(self, folder: Path) -> str:
        """Return the digest of the files of a version, but for its configuration."""
        key, settled = _look(folder)
        if known := self._known().get(key):
            return known
        found = digest(folder, without=CONFIG_FILE)
        if settled and _look(folder)[0] == key:
            self._keep(key, found)
        return found

    def _known(self) -> dict[str, str]:
        try:
            known = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _keep(self, key: str, found: str) -> None:
        try:
            with self._file.with_name(f"{self._file.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                known = self._known()
                known.pop(key, None)
                newest = dict([*known.items(), (key, found)][-_MOST:])
                with tempfile.NamedTemporaryFile("w", dir=self._file.parent, prefix=".writing-", delete=False) as file:
                    json.dump(newest, file)
                Path(file.name).replace(self._file)
        except OSError as error:
            log.info("the digest of a model is not remembered in `%s`: %s", self._file, error.strerror)


def _look(folder: Path) -> tuple[str, bool]:
    """Return what the file system knows of the files, in short, and whether they were left alone for a while."""
    seen, newest = hashlib.sha256(), 0.0
    for path in files(folder):
        if path.name == CONFIG_FILE:
            continue
        about = path.stat()
        known = (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        seen.update(f"{path.relative_to(folder).as_posix()} {known}\n".encode())
        newest = max(newest, about.st_mtime, about.st_ctime)
    return seen.hexdigest(), time.time() - newest > _SETTLED_S
