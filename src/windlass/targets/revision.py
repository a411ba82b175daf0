"""Which state of the project's source is released."""

from pathlib import Path

from windlass.errors import TargetError
from windlass.targets import shell


def revision(folder: Path) -> str:
    """Return the commit of a folder's Git repository, ``-dirty`` where files differ from it; empty without one."""
    try:
        return shell.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        ).strip()
    except TargetError:
        return ""


def committed(folder: Path) -> int:
    """Return when the commit of a folder's Git repository was made, in seconds since 1970; 0 without one."""
    try:
        return int(shell.run(["git", "-C", str(folder), "log", "-1", "--format=%ct"]).strip() or 0)
    except TargetError:
        return 0
