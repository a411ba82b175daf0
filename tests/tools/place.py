"""Where downloaded tools lie: one folder, filled once, shared by whoever names it in WINDLASS_TOOLS."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Programs of root are also run as nobody, who may not look into root's home.
OWN = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
CACHE = OWN if os.geteuid() else Path("/var/cache")
FOLDER = Path(os.environ.get("WINDLASS_TOOLS") or CACHE / "windlass-tools").resolve()
# Every tool has one name in here, whoever brought it.
PROGRAMS = FOLDER / "bin"


class Missing(Exception):
    """A tool that is not here or cannot run here, and why."""


class Failed(Exception):
    """A command that did not do what it should have."""


def run(*command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None, limit_s: int = 900) -> str:
    """Run a command to its end; returns what it wrote, which the error shows when it fails."""
    line = [str(word) for word in command]
    try:
        done = subprocess.run(
            line, env=env, cwd=cwd, timeout=limit_s, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"`{' '.join(line)}`: {error}") from error
    if done.returncode:
        raise Failed(f"`{' '.join(line)}` ended with {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Keep other runs on this machine out; a run that dies lets go."""
    folder = FOLDER / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name.replace("/", "-")).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def made(name: str, key: str, make: Callable[[Path], object]) -> Path:
    """Return the folder of that name; MAKE fills it unless it was filled to its end from the same key before."""
    folder = FOLDER / name
    mark = folder / ".made"
    with lock(name):
        if not mark.exists() or mark.read_text() != key:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            make(folder)
            mark.write_text(key)
    return folder


def link(programs: Sequence[Path], name: str = "") -> None:
    """Give programs their name in PROGRAMS, or another."""
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    for program in programs:
        if not program.exists():
            raise Missing(f"no `{program.name}` came with {program.parent}")
        draft = PROGRAMS / f".{name or program.name}.{os.getpid()}"
        draft.unlink(missing_ok=True)
        draft.symlink_to(program)
        draft.replace(PROGRAMS / (name or program.name))


def program(name: str) -> Path:
    """Return a tool that was installed."""
    found = PROGRAMS / name
    if not found.exists():
        raise Missing(f"no `{name}` in {PROGRAMS}: `make tools` installs it")
    return found


def environment(**extra: str) -> dict[str, str]:
    """Return the environment in which commands find the tools first."""
    return {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **extra}
