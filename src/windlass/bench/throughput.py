"""How many answers a second a window of load came to, without the error of its edges. Values only.

A window begins with nobody under way, and what is under way at its end is waited for. To count only what was answered
within it would miss one latency's worth of answers: a tenth of them, where answers take 100 ms of a second.
"""

import math

from windlass.bench.outcome import INTERVAL_S, Outcome


def closed_rate(outcome: Outcome) -> float:
    """Return answers a second of a closed loop: all of them, over the mean time until clients were done.

    The last answer of each client is one that came after the end.
    """
    if not outcome.requests or not outcome.seconds:
        return 0.0
    late = outcome.intervals[_whole(outcome) :]
    count = sum(interval.requests for interval in late)
    # Within one interval nothing tells when they came: between at once and one latency later.
    half = min(outcome.latencies.mean_us / 2e6, INTERVAL_S / 2)
    waited = sum((place * INTERVAL_S + half) * interval.requests for place, interval in enumerate(late))
    return outcome.requests / (_whole(outcome) * INTERVAL_S + (waited / count if count else 0.0))


def open_rate(outcome: Outcome) -> float:
    """Return answers a second of an open loop: all of them, over the time in which they came.

    A server that keeps up answers for as long as it is asked, one latency later; one that does not takes longer.
    """
    if not outcome.requests or not outcome.seconds:
        return 0.0
    answered = [place for place, interval in enumerate(outcome.intervals) if interval.requests]
    least_s = (outcome.latencies.values_us[0] if outcome.latencies.values_us else 0.0) / 1e6
    last_s = answered[-1] * INTERVAL_S if answered else 0.0
    return outcome.requests / max(outcome.seconds, last_s - least_s)


def _whole(outcome: Outcome) -> int:
    return max(math.floor(outcome.seconds / INTERVAL_S + 1e-6), 1)
