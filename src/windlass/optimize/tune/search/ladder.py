"""Which batch sizes an engine is tried with in a loop: doubled while a sample gets cheaper."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST = 128
# A doubling has to make a sample this much cheaper to be followed by another.
WORTH = 1.04
# A batch that takes longer than this serves nobody, and takes the screen's time.
LONGEST_S = 2.5


@dataclass(frozen=True, slots=True)
class Lap:
    """An engine in a loop: samples a second at a batch size, and how long one batch takes."""

    size: int
    rate: float
    pass_s: float


def next_size(laps: Sequence[Lap], most: int, limit_s: float | None = None) -> int | None:
    """Return the next size to try; nothing when larger ones promise no more or take too long.

    One doubling that gives nothing is forgiven: engines have sizes that they do not like.
    """
    if not laps:
        return 1
    last = laps[-1]
    longest = LONGEST_S if limit_s is None else min(LONGEST_S, limit_s)
    if last.size * 2 > most or last.pass_s * 1.5 > longest:
        return None
    if len(laps) > 2 and laps[-1].rate < WORTH * laps[-3].rate:
        return None
    return last.size * 2


def best_lap(laps: Sequence[Lap], limit_s: float | None = None) -> Lap:
    """Return the smallest batch with nearly the best rate. Batches wait for one another: each has half of a limit."""
    fit = [lap for lap in laps if limit_s is None or lap.pass_s * 2 <= limit_s] or laps[:1]
    most = max(lap.rate for lap in fit)
    return min((lap for lap in fit if lap.rate >= most / WORTH), key=lambda lap: lap.size)
