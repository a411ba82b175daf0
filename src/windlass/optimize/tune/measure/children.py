"""Work that may crash, hang or take all memory: done by a process of its own, which says line by line what it found."""

import json
import queue
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from windlass.errors import BackendError
from windlass.targets import shell

MODULE = "windlass.optimize.tune.measure.child"
MARK = "windlass-optimize: "
_SHOWN_LINES = 6


class ChildError(BackendError):
    """A step failed, or its process ended before it was done."""


def ask(job: Mapping[str, Any], timeout_s: float) -> Iterator[dict[str, Any]]:
    """Have a job done and yield what is said of it, as it is said.

    Raises ``ChildError`` with the reason when the job fails; ``TimeoutError`` when it takes longer than it may. The
    process is gone in either case, and when the caller goes away, and so are its temporary files, however it ended.
    """
    heard: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    until = time.monotonic() + timeout_s
    noise: list[str] = []
    with ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="windlass-optimize-"))
        words, environment = (MODULE, json.dumps(dict(job))), {"TMPDIR": temporary}
        process = stack.enter_context(shell.companion(*words, hear=heard.put, environment=environment, patience_s=2.0))
        while True:
            try:
                line = heard.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"not done after {timeout_s:.0f} s") from None
            if line is None:
                break
            if line.startswith(MARK):
                yield _told(json.loads(line.removeprefix(MARK)))
            else:
                noise = [*noise[-_SHOWN_LINES:], line]
        status = process.wait()
    if status:
        raise ChildError(_ending(status, noise), hint=_MEMORY if -status == signal.SIGKILL else None)


def _told(message: dict[str, Any]) -> dict[str, Any]:
    if "error" in message:
        raise ChildError(message["error"], hint=message.get("hint"))
    return message


_MEMORY = "the system most likely ran out of memory: give it more, or try a smaller model"


def _ending(status: int, noise: list[str]) -> str:
    how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
    said = f": {' '.join(noise)}" if noise else ""
    return f"its process {how}{said}"
