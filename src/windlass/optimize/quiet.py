"""Work that frameworks do, without what they say meanwhile: prints, warnings and logs, of Python and of native code."""

import contextlib
import io
import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from windlass.errors import ConversionError, WindlassError

_LONGEST = 300
_NOISE = ("Check '", "Exception from ", "FrontEnd API failed", "Model wasn't fully converted")


@contextlib.contextmanager
def conversion(doing: str, hint: str) -> Iterator[None]:
    """Have a framework convert something, silently. Raises ``ConversionError`` with its reason where it cannot.

    What has to be told meanwhile is told before or after: all of the process is silent.
    """
    with _heeding_interruption() as interrupted:
        try:
            with quiet():
                yield
        except (WindlassError, MemoryError):
            raise
        except OSError as error:
            raise ConversionError(f"{doing}: {error}", hint="make room on the disk, or free the file") from error
        except Exception as error:  # frameworks raise what they like
            if not interrupted:
                raise ConversionError(f"{doing}: {reason(error)}", hint=hint) from error
        # Frameworks take an interruption for a failure, or for nothing.
        if interrupted:
            raise KeyboardInterrupt


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep everything off the terminal until the block ends. What frameworks do to the log of the program is undone."""
    root = logging.root
    disabled, level, handlers, filters = root.manager.disable, root.level, root.handlers[:], root.filters[:]
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        _discarded(1),
        _discarded(2),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)
            root.setLevel(level)
            root.handlers[:], root.filters[:] = handlers, filters


@contextlib.contextmanager
def _discarded(descriptor: int) -> Iterator[None]:
    """Lead what native code writes nowhere."""
    kept = os.dup(descriptor)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), descriptor)
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)


@contextlib.contextmanager
def _heeding_interruption() -> Iterator[list[int]]:
    """Yield a list that has an element when somebody pressed Ctrl-C, or wants the process to end."""
    interrupted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def interrupt(number: int, _frame: FrameType | None) -> None:
        interrupted.append(number)
        raise KeyboardInterrupt

    # A process that does nothing about its end is ended as before.
    heeded = [number for number in (signal.SIGINT, signal.SIGTERM) if callable(signal.getsignal(number))]
    before = {number: signal.signal(number, interrupt) for number in heeded}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def reason(error: BaseException) -> str:
    """Return the sentence that says what went wrong, out of all that a framework says."""
    while error.__cause__ is not None:
        error = error.__cause__
    return sentence(str(error)) or type(error).__name__


def sentence(text: str) -> str:
    """Return the line of a framework's message that tells most: above and below it are places in its own source."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(_NOISE)]
    # TorchScript tells at the end what went wrong; OpenVINO sums up.
    if any(line.startswith("Traceback ") for line in lines):
        told = lines[-1:]
    elif "Summary:" in lines:
        told = [", ".join(line.removeprefix("-- ") for line in lines[lines.index("Summary:") + 1 :])]
    said = next(iter(told), "")
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."
