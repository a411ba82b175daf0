"""Successive halving: many are measured briefly, the better half longer, until one is left.

Within a rung the candidates take turns, in another order each time, so that a noisy minute of the machine hits all.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Kind = TypeVar("Kind")

SHORTEST_S, LONGEST_S = 0.4, 4.0
# Points of the search for the knee that a turn takes at most, and hardly takes in later rungs.
POINTS = 4
MOST = 16


@dataclass(frozen=True, slots=True)
class Rung:
    """So many candidates take so many turns, each measuring windows of so many seconds."""

    candidates: int
    turns: int
    window_s: float


def rungs(candidates: int, seconds: float, start_s: float) -> tuple[Rung, ...]:
    """Plan what fits into the time. ``start_s`` is what it takes to start a server.

    Each rung has half the candidates, a turn more and longer windows. When time is short fewer candidates begin.
    """
    for count in range(min(candidates, MOST), 0, -1):
        shape = _shape(count)
        starts = sum(number for number, _ in shape) * start_s
        # The first turn of a rung looks for the knee, the others return to it.
        windows = sum(number * (POINTS + turns - 1) * 2**index for index, (number, turns) in enumerate(shape))
        window_s = (seconds - starts) / windows
        if window_s >= SHORTEST_S or (count == 1 and seconds > 0):
            return tuple(
                Rung(number, turns, min(max(window_s, SHORTEST_S) * 2**index, LONGEST_S))
                for index, (number, turns) in enumerate(shape)
            )
    return ()


def around(candidates: int, seconds: float, start_s: float) -> tuple[Rung, ...]:
    """Plan a look at a leader and what is around it: all once, the best of them twice more.

    Of those around it fewer come where time is short; none where it is too short for one.
    """
    for count in range(candidates, 1, -1):
        few = min(3, count)
        window_s = (seconds - count * start_s) / (count * (POINTS - 1) + few * 3)
        if window_s >= SHORTEST_S:
            return Rung(count, 1, min(window_s, LONGEST_S)), Rung(few, 2, min(window_s * 1.5, LONGEST_S))
    return ()


def last(candidates: int, seconds: float) -> tuple[Rung, ...]:
    """Plan the last comparison: as many turns as there is time for, three where there is enough."""
    turns = 3 if seconds > candidates * 3 * (POINTS + 1) * SHORTEST_S else 1
    window_s = seconds / (candidates * (POINTS + turns))
    return (Rung(candidates, turns, min(max(window_s, SHORTEST_S), LONGEST_S)),) if seconds > 0 else ()


def _shape(count: int) -> list[tuple[int, int]]:
    """Return candidates and turns of each rung: the last one has two or three to choose from, or one."""
    shape, turns = [(count, 1)], 1
    while count > 3:
        count, turns = (count + 1) // 2, turns + 1
        shape.append((count, turns))
    return shape


def order(candidates: Sequence[Kind], seed: int, rung: str, turn: int) -> list[Kind]:
    """Return who is measured when in a turn: random, and the same for the same seed."""
    shuffled = list(candidates)
    random.Random(f"{seed}/{rung}/{turn}").shuffle(shuffled)
    return shuffled
