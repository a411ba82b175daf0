"""Which processor cores there are, which of them a process may use, and how what it starts is kept to some of them."""

import math
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from windlass.backends import cgroup


def core_count(root: Path = cgroup.ROOT) -> int:
    """Return the number of cores, at least 1. Frameworks that count the machine's start too many threads.

    A part of a core counts as one: with one thread fewer it would never be used.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = cgroup.cpu_limit(root)
    return allowed if limit is None else max(1, min(allowed, math.ceil(limit)))


@contextmanager
def kept_to(cores: Collection[int]) -> Iterator[None]:
    """Keep this thread to some cores for the length of a block, and for good the threads that it starts meanwhile.

    Without any it stays where it may be.
    """
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def keep_process_to(cores: Collection[int]) -> None:
    """Keep all threads of this process to some cores, and those to come; without any, leave them."""
    if not cores:
        return
    for thread in Path("/proc/self/task").iterdir():
        try:
            os.sched_setaffinity(int(thread.name), cores)
        except ProcessLookupError:
            # It has ended meanwhile.
            continue
