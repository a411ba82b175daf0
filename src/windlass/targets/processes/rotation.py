"""A log file that never grows beyond its bound: full ones are numbered, the oldest is dropped."""

import json
from pathlib import Path
from typing import BinaryIO


class Rotation:
    """Writes to ``path``; ``path.1`` is the one before, and so on up to ``files`` of them."""

    def __init__(self, path: Path, *, size_bytes: int, files: int) -> None:
        self._last = ""
        self._error = ""
        self._path = path
        self._size_bytes = size_bytes
        self._files = files
        self._opened: BinaryIO | None = None
        self._written = 0

    def write(self, piece: bytes) -> None:
        """Add a line, or a piece of one."""
        if self._opened is None or self._written + len(piece) > self._size_bytes:
            self._turn()
        if self._opened is not None:
            self._opened.write(piece)
            self._opened.flush()
            self._written += len(piece)
        said, is_error = _sentence(piece)
        self._last = said or self._last
        if is_error and not self._error:
            self._error = said

    def begin(self) -> None:
        """Note that another process begins to write."""
        self._last = self._error = ""

    @property
    def telling(self) -> str:
        """What tells most about how the process ended: its first error, or else its last line."""
        return self._error or self._last

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _turn(self) -> None:
        full = self._opened is not None
        self.close()
        if full:
            for number in range(self._files - 1, 0, -1):
                before = self._numbered(number - 1)
                if before.exists():
                    before.replace(self._numbered(number))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._opened = self._path.open("wb" if full else "ab")
        self._written = self._path.stat().st_size

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def _sentence(piece: bytes) -> tuple[str, bool]:
    """Return what a log line says, without time and level, and whether it is an error."""
    text = piece.decode(errors="replace").strip()
    try:
        told = json.loads(text)
    except ValueError:
        return text, text.startswith("error: ")
    if not isinstance(told, dict):
        return text, False
    return str(told.get("message", text)), told.get("level") == "error"
