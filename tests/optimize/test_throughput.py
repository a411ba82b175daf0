"""Throughput of a closed loop out of latencies, against a server that answers in batches."""

import math

import pytest

from windlass.bench.outcome import Interval, Latencies, Outcome
from windlass.optimize.tune.measure.turns import throughput


def batches(concurrency: int, size: int, pass_s: float, seconds: float) -> Outcome:
    """A server that always takes ``size`` of the requests that wait, and ``pass_s`` for them."""
    waiting, now, sums, done = [0.0] * concurrency, 0.0, 0.0, 0
    answered = [0] * 1000
    while waiting:
        taken, waiting = waiting[:size], waiting[size:]
        now += pass_s
        sums += sum(now - sent for sent in taken)
        done += len(taken)
        answered[math.ceil(now / 0.1 - 1e-9) - 1] += len(taken)
        if now < seconds:
            waiting += [now] * len(taken)
    latencies = Latencies((1.0,), (done,), sums * 1e6, 1e6)
    intervals = tuple(Interval(count, 0, 0.0) for count in answered)
    return Outcome(done, {}, 0, seconds, latencies, Latencies(), intervals, concurrency, 0.0)


@pytest.mark.parametrize(("concurrency", "size"), [(16, 8), (8, 8), (12, 8), (4, 1), (64, 16)])
@pytest.mark.parametrize("seconds", [1.0, 1.04, 1.29, 2.0, 5.0])
@pytest.mark.parametrize("pass_s", [0.01, 0.08, 0.17])
def test_windows_that_end_in_the_middle_of_a_batch_tell_the_same(concurrency, size, seconds, pass_s):
    outcome = batches(concurrency, size, pass_s, seconds)
    assert throughput(concurrency, outcome) == pytest.approx(size / pass_s, rel=0.06)


def test_nothing_answered_is_no_throughput():
    assert throughput(4, Outcome(0, {"timed out": 4}, 0, 1.0, Latencies(), Latencies(), (), 4, 0.0)) == 0
