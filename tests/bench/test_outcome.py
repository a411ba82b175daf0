"""What came of a load, as values."""

import math

import pytest

from windlass.bench.outcome import Interval, Latencies, Outcome, join


def latencies(*values: float) -> Latencies:
    kept = sorted(set(values))
    return Latencies(tuple(kept), tuple(values.count(value) for value in kept), sum(values), max(values))


def outcome(requests: int, seconds: float, intervals: tuple[Interval, ...]) -> Outcome:
    none = Latencies()
    return Outcome(requests, {"timed out": 2, "status 500": 1}, 0, seconds, none, none, intervals, 1, 0.0)


def test_percentiles_are_what_so_many_do_not_exceed():
    hundred = latencies(*range(1, 101))
    assert [hundred.percentile(percent) for percent in (0, 1, 50, 99, 99.9, 100)] == [1, 1, 50, 99, 100, 100]
    assert (hundred.count, hundred.mean_us, hundred.max_us) == (100, 50.5, 100)


def test_a_percentile_is_never_more_than_the_longest():
    assert Latencies((10.004,), (1,), 10.0, 10.0).percentile(50) == 10.0


def test_nothing_has_no_percentiles():
    assert math.isnan(Latencies().percentile(50)) and math.isnan(Latencies().mean_us)


def test_latencies_are_joined_as_if_they_were_of_one():
    assert join([latencies(1, 2, 2), latencies(2, 9), Latencies()]) == latencies(1, 2, 2, 2, 9)
    assert join([]) == Latencies()


def test_the_rate_is_that_of_the_time_in_which_requests_were_sent():
    each = Interval(requests=10, failures=0, latency_sum_us=100.0)
    measured = outcome(33, 0.3, (each, each, each, Interval(3, 0, 30.0)))
    assert measured.rate == pytest.approx(100.0)
    assert outcome(5, 0.05, (Interval(5, 0, 1.0),)).rate == pytest.approx(100.0)
    assert measured.failed == 3


def test_an_interval_without_answers_has_no_mean():
    assert math.isnan(Interval(0, 3, 0.0).mean_us) and Interval(2, 0, 5.0).mean_us == 2.5
