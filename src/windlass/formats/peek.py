"""The first look at a file: enough to tell formats from each other, without a framework."""

import zipfile
from pathlib import Path


def head(path: Path, size: int = 16) -> bytes:
    """Return the first bytes of a file; none of what is no file."""
    if not path.is_file():
        return b""
    with path.open("rb") as opened:
        return opened.read(size)


def members(path: Path) -> tuple[str, ...]:
    """Return the names in a zip file without the folder that all of them may share; none of what is no zip file."""
    if head(path, 4) != b"PK\x03\x04":
        return ()
    try:
        with zipfile.ZipFile(path) as opened:
            names = opened.namelist()
    except (zipfile.BadZipFile, OSError):
        return ()
    tops = {name.partition("/")[0] for name in names}
    if len(tops) == 1 and all("/" in name for name in names):
        names = [name.partition("/")[2] for name in names]
    return tuple(names)


def size_bytes(path: Path) -> int:
    """Return the size of a file, or of everything in a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
