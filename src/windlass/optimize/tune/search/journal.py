"""What has been done, line by line on disk, so that an interrupted run goes on where it was.

A line is a trial: what was tried, what came of it, how much time was spent until then. It is on disk before the next
begins. The first line says what it all is about; a journal about something else is not continued.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from windlass.errors import UsageError


class Journal:
    """The trials of a run by their keys."""

    def __init__(self, file: Path, trials: dict[str, Any], spent_s: float) -> None:
        self._file = file
        self._trials = trials
        self.before_s = spent_s

    @classmethod
    def open(cls, file: Path, about: Mapping[str, Any]) -> Self:
        """Continue the journal of that file, or begin it.

        A line that was cut off, by a power cut or ``kill -9``, is taken away. Raises ``UsageError`` when the file is
        something else.
        """
        head = json.loads(json.dumps(dict(about)))
        lines = _lines(file)
        if lines and lines[0] != head:
            raise UsageError(
                f"`{file}` is about something else",
                found=", ".join(f"{key}={value}" for key, value in lines[0].items()),
                hint="name another folder with --work, or remove this one",
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = lines or [head]
        # Written anew and renamed: what is there from now on are whole lines.
        fresh = file.with_suffix(".fresh")
        fresh.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")
        fresh.replace(file)
        trials = {line["trial"]: line["result"] for line in kept[1:]}
        return cls(file, trials, max((line["spent_s"] for line in kept[1:]), default=0.0))

    def __contains__(self, trial: str) -> bool:
        return trial in self._trials

    def __len__(self) -> int:
        return len(self._trials)

    def result(self, trial: str) -> Any:
        """Return what came of a trial; ``KeyError`` when it was not done."""
        return self._trials[trial]

    def add(self, trial: str, result: Any, spent_s: float) -> None:
        """Note a trial. When this returns it is on the disk."""
        with self._file.open("a", encoding="utf-8") as opened:
            opened.write(json.dumps({"trial": trial, "spent_s": round(spent_s, 3), "result": result}) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        self._trials[trial] = result


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    found = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return [line for line in found if isinstance(line, dict)]
