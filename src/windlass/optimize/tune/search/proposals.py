"""Which candidates are served, after what a loop told of engines; and what is tried around one that leads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from windlass.optimize.tune.search.ladder import Lap, best_lap
from windlass.optimize.tune.space import OFF, Batching, Candidate, Layout, Variant

Screened = Mapping[tuple[Variant, Layout], Sequence[Lap]]

# An engine that is this much slower than the best in a loop does not win when served.
HOPELESS = 0.6
# What a request costs before and after the engine.
REQUEST_S = 10e-6
# A batch has to promise this much more than one by one to be tried.
PAYS = 1.05


def promised(screened: Screened, limit_s: float | None) -> list[tuple[Candidate, float]]:
    """Return candidates with the rate that the loop promises, the best first."""
    found: dict[Candidate, float] = {}
    for (variant, layout), laps in screened.items():
        best, single = best_lap(laps, limit_s), laps[0]
        found[Candidate(variant, layout, OFF)] = _served(single.rate)
        if best.size > 1 and best.rate >= PAYS * single.rate:
            found[Candidate(variant, layout, Batching(best.size))] = _served(best.rate)
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0].complexity))


def _served(rate: float) -> float:
    """Return what is left of a loop's rate when each sample is a request: engines of tiny models differ in nothing."""
    return 1 / (1 / rate + REQUEST_S)


def unscreened(variant: Variant, layouts: Sequence[Layout], *, batchable: bool) -> list[tuple[Candidate, float]]:
    """Return what is served where no loop tells anything: every layout, one by one and in batches.

    A model that is code has no threads to choose; more instances are more processes of it.
    """
    sizes = [Batching(size) for size in (8, 32)] if batchable else []
    chosen = [Layout(layout.instances, 0) for layout in layouts]
    return [(Candidate(variant, layout, batching), 1.0) for layout in chosen for batching in (OFF, *sizes)]


def leaders(promises: Sequence[tuple[Candidate, float]], count: int) -> list[Candidate]:
    """Return those that are worth serving: no hopeless ones, and each variant before any comes twice.

    What a loop says of a server is right to some ten or twenty per cent, so a variant that leads gets all its ways to
    be served, but a second variant comes before its fourth.
    """
    if not promises:
        return []
    most = promises[0][1]
    hopeful = [candidate for candidate, rate in promises if rate >= HOPELESS * most]
    seen: dict[Variant, int] = {}
    ordered: list[tuple[int, int, Candidate]] = []
    for place, candidate in enumerate(hopeful):
        rank = seen.get(candidate.variant, 0)
        seen[candidate.variant] = rank + 1
        ordered.append((rank // 2, place, candidate))
    return [candidate for _, _, candidate in sorted(ordered, key=lambda entry: entry[:2])][:count]


def neighbours(
    candidate: Candidate, layouts: Sequence[Layout], pass_s: float, *, batchable: bool = True
) -> list[Candidate]:
    """Return what differs from a candidate in one thing: the delay, the batch size, the layout.

    ``pass_s`` is how long a batch of its size takes: delays are parts of it, since waiting longer than an execution
    costs more than a larger batch brings.
    """
    if candidate.layout is None or candidate.batching is None:
        return []
    batching = candidate.batching
    others = [replace(candidate, layout=layout) for layout in layouts if layout != candidate.layout]
    if not batchable:
        return others
    if batching.size == 1:
        return [replace(candidate, batching=Batching(size)) for size in (4, 8)] + others
    delays = sorted({_rounded(pass_s * part * 1e6) for part in (0.1, 0.5)} - {0, batching.delay_us})
    tried = [Batching(batching.size, delay) for delay in delays]
    tried += [Batching(size, batching.delay_us) for size in (batching.size * 2, batching.size // 2) if size > 1]
    tried += [OFF] if batching.delay_us == 0 else [OFF, Batching(batching.size)]
    return [replace(candidate, batching=choice) for choice in tried] + others


def _rounded(delay_us: float) -> int:
    """Two digits are enough, and read better; below 50 us nothing is waited for."""
    if delay_us < 50:
        return 0
    size = 10 ** (len(str(int(delay_us))) - 2)
    return int(delay_us // size * size)
