"""What a person sees who ends a verb that was about to change something."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from windlass.cli import output
from windlass.errors import WindlassError


@contextmanager
def interruptible(left: str) -> Iterator[None]:
    """Clean up on Ctrl-C, and likewise when the process is told to end, and say what is ``left``; it was not done."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        output.fail(WindlassError("interrupted", found=left, hint="run the command again"))
    finally:
        signal.signal(signal.SIGTERM, before)
