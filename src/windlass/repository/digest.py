"""What a model is, as one number: the same files give the same digest, wherever and whenever they lie."""

import hashlib
from pathlib import Path


def digest(model: Path, *, without: str = "") -> str:
    """Return ``sha256:…`` over the names and contents of a model's files, in the order of their names.

    A file called ``without`` does not count.
    """
    total = hashlib.sha256()
    for path in (path for path in files(model) if path.name != without):
        with path.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        total.update(f"{content}  {path.relative_to(model).as_posix()}\n".encode())
    return f"sha256:{total.hexdigest()}"


def files(model: Path) -> list[Path]:
    """Return a model's files in the order of their names; what editors, Python and version control keep is left out."""
    kept = (path for path in model.rglob("*") if path.is_file() and not _foreign(path.relative_to(model)))
    return sorted(kept, key=lambda path: path.relative_to(model).as_posix())


def _foreign(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)
