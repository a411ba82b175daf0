"""What the first process of a container has to do: pass signals on, and reap what model code leaves behind.

Nobody else does it there, unless the container is started with an init of its own, and orphans that nobody reaps fill
the table of processes.
"""

import contextlib
import os
import signal
from types import FrameType

_PASSED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def step_aside() -> None:
    """Go on in a child where this is process 1, which from now on only waits, and ends as the child does.

    To be called before there are threads.
    """
    if os.getpid() != 1:
        return
    # None is lost before somebody listens.
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED)
    child = os.fork()
    if child:
        _listen(child)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED)
    if child:
        os._exit(_reap(child))


def _listen(child: int) -> None:
    def pass_on(number: int, _: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in _PASSED:
        signal.signal(number, pass_on)


def _reap(child: int) -> int:
    """Wait for whoever ends, until it is the child; return its exit code as a shell would."""
    while True:
        process, status = os.wait()
        if process == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
