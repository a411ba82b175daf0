"""The one door to other programs: what they say is heard, how they end is understood, and they end with us."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from windlass.errors import TargetError

# What installs a program, by its name.
INSTALL = {
    "docker": "install Docker Engine (https://docs.docker.com/engine/install/)",
    "kubectl": "install kubectl (https://kubernetes.io/docs/tasks/tools/)",
    "helm": "install Helm (https://helm.sh/docs/intro/install/)",
    "trivy": "install Trivy (https://trivy.dev)",
    "syft": "install Syft (https://github.com/anchore/syft)",
}
# As much of what a failed program said as a person wants to read.
SHOWN_LINES = 20
_PDEATHSIG = 1


class ProgramError(TargetError):
    """Another program failed; ``status`` is its exit code, ``said`` what it wrote as errors, ``printed`` the rest."""

    def __init__(self, message: str, *, status: int, said: str, printed: str = "", hint: str | None = None) -> None:
        super().__init__(message, found=said or None, hint=hint)
        self.status = status
        self.said = said
        self.printed = printed


def find(program: str) -> str:
    """Return where a program is. Raises ``TargetError`` that tells how to install it."""
    path = shutil.which(program)
    if path is None:
        hint = INSTALL.get(program, f"install `{program}`")
        raise TargetError(f"`{program}` is not on this machine", hint=f"{hint}, or put it on the PATH")
    return path


def run(
    words: Sequence[str],
    *,
    given: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeout_s: float | None = None,
) -> str:
    """Run a program to its end and return what it printed.

    ``environment`` is added to that of this process. Raises ``ProgramError`` when it fails or takes too long.
    """
    command = [find(words[0]), *words[1:]]
    try:
        done = subprocess.run(
            command,
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            env=_with(environment),
            cwd=folder,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else ""
        raise ProgramError(
            f"`{_named(words)}` took longer than {timeout_s:g} s", status=-1, said=_tail(said)
        ) from error
    if done.returncode:
        raise failure(words, done.returncode, done.stderr or done.stdout, done.stdout)
    return done.stdout


@contextmanager
def lines(
    words: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[Iterator[str]]:
    """Start a program and lend the lines it prints, errors among them, as they come; it ends with the ``with``.

    Raises ``ProgramError`` at the end of the lines when it failed.
    """
    process = subprocess.Popen(
        [find(words[0]), *words[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=_with(environment),
        cwd=folder,
    )
    try:
        yield _lines(process, words)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


@contextmanager
def companion(
    module: str,
    *words: str,
    hear: Callable[[str | None], None],
    environment: Mapping[str, str] | None = None,
    patience_s: float = 30.0,
) -> Iterator["subprocess.Popen[str]"]:
    """Run a module of windlass as a program beside this one, until the block ends: asked first, then by force.

    ``hear`` is told every line that it says, in a thread, and ``None`` when there are no more. The program also ends
    when this process is killed, or the thread that started it ends.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=_with(environment),
        preexec_fn=dies_with_parent(),
    )
    listener = threading.Thread(target=_hear, args=(process, hear), daemon=True)
    listener.start()
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
        finally:
            process.wait()
            listener.join(patience_s)


def _hear(process: "subprocess.Popen[str]", hear: Callable[[str | None], None]) -> None:
    with process:
        for line in process.stdout or ():
            hear(line.rstrip("\n"))
    hear(None)


def dies_with_parent() -> Callable[[], None]:
    """Return what a child does first, so that it is told to end when this process is killed: it would live for ever."""
    prctl = ctypes.CDLL(None).prctl

    def tell() -> None:
        # A process group of its own keeps a Ctrl-C meant for somebody else away.
        os.setpgid(0, 0)
        prctl(_PDEATHSIG, signal.SIGTERM)

    return tell


def detach(module: str, *words: str, log: Path) -> None:
    """Start a module of windlass as a program that outlives this one; what it says goes to ``log``."""
    with log.open("ab") as opened:
        subprocess.Popen(
            [sys.executable, "-m", module, *words],
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=opened,
            start_new_session=True,
        )


def _lines(process: "subprocess.Popen[str]", words: Sequence[str]) -> Iterator[str]:
    last: list[str] = []
    for line in process.stdout or ():
        last = [*last[-SHOWN_LINES:], line]
        yield line.rstrip("\n")
    if process.wait():
        raise failure(words, process.returncode, "".join(last))


def failure(words: Sequence[str], status: int, said: str, printed: str = "") -> ProgramError:
    """Return the error of a program that ended badly."""
    return ProgramError(f"`{_named(words)}` failed with {status}", status=status, said=_tail(said), printed=printed)


def _with(environment: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if environment is None else {**os.environ, **environment}


def _named(words: Sequence[str]) -> str:
    """Name a command by its first words; the rest may be long."""
    return " ".join(words[:4]) + (" …" if len(words) > 4 else "")


def _tail(said: str) -> str:
    return "\n".join(said.strip().splitlines()[-SHOWN_LINES:])
