"""What the C library does with memory that models free: it keeps it, so that the next batch need not fetch it anew.

By default glibc hands large blocks back to the kernel at once, and every batch pays for new pages: on the two cores of
the benchmark that costs PyTorch a quarter of its throughput. Other C libraries have no such switches, and nothing is
changed there.
"""

import contextlib
import ctypes

# mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST_KEPT_BYTES = 1 << 30


def keep_freed() -> None:
    """Keep what is freed, in one arena that all threads share. For a process of our own, before it starts threads."""
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        # Arenas of threads are limited to 64 MB and give back what is larger, whatever the thresholds say.
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def return_freed() -> None:
    """Give the kernel what is free now: after a model was unloaded."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
