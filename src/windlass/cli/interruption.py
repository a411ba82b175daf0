"""What happens, and what a person is told, where a verb is ended before it is done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from windlass.cli import output
from windlass.errors import WindlassError


@contextmanager
def ending_like_ctrl_c() -> Iterator[None]:
    """Have a process that is told to end clean up as after Ctrl-C, instead of ending on the spot."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def interruptible(left: str) -> Iterator[None]:
    """Say what is ``left`` where somebody interrupts; it was not done."""
    try:
        yield
    except KeyboardInterrupt:
        output.fail(WindlassError("interrupted", found=left, hint="run the command again"))
