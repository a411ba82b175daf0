"""The knee of made-up servers is found, whatever their shape, in few steps."""

import pytest

from windlass.bench.ramp import Ramp, Reading, knee, next_value


def climb(ramp, server):
    """Ramp on a server, given as a function from load to (rate, p99 in microseconds, failed)."""
    readings = []
    while (value := next_value(readings, ramp)) is not None:
        assert value not in [reading.value for reading in readings]
        readings.append(Reading(value, *server(value)))
        assert len(readings) < 30
    return [reading.value for reading in readings], knee(readings, ramp)


def saturating(capacity, service_us, failed=0.0):
    """A closed loop: more clients than it has places for only wait."""

    def server(clients):
        rate = min(clients / service_us * 1e6, capacity)
        return rate, clients / rate * 1e6, failed

    return server


def queueing(capacity):
    """An open loop: the nearer to what it can carry, the longer the wait."""

    def server(rate):
        wait = 1000 / (1 - rate / capacity) if rate < capacity else 5e6
        return min(rate, capacity), wait, 0.0

    return server


def test_without_a_limit_the_knee_is_where_throughput_stops_growing():
    tried, found = climb(Ramp("concurrency", 1, 1024), saturating(1000, 10_000))

    assert tried == [1, 2, 4, 8, 16, 32]
    assert (found.value, found.rate) == (16, 1000)


def test_with_a_limit_it_is_the_most_clients_within_it():
    # 1000 a second: 50 clients wait 50 ms.
    tried, found = climb(Ramp("concurrency", 1, 1024, limit_us=50_000), saturating(1000, 1000))

    assert 45 <= found.value <= 50
    # Doubling until it is too much, then closer from both sides.
    assert tried == [1, 2, 4, 8, 16, 32, 64, 48, 56, 52]


def test_the_highest_rate_within_a_limit_is_found_closely():
    _, found = climb(Ramp("rate", 10, 1e6, limit_us=10_000), queueing(1000))

    assert 900 / 1.1 <= found.value <= 900


def test_without_a_limit_it_is_the_highest_rate_that_is_carried():
    _, found = climb(Ramp("rate", 100, 1e6), queueing(1000))

    assert 1000 / 1.1 <= found.value <= 1053


@pytest.mark.parametrize(("kind", "first", "least"), [("concurrency", 8, 1), ("rate", 100, 100 / 64)])
def test_a_first_load_that_is_too_much_is_halved(kind, first, least):
    tried, found = climb(Ramp(kind, first, 1024, limit_us=10), lambda value: (value, 11, 0.0))

    assert found is None
    assert tried[0] == first and tried[-1] == least and tried == sorted(tried, reverse=True)


def test_less_than_the_first_load_is_found_when_that_is_too_much():
    _, found = climb(Ramp("rate", 4000, 1e6, limit_us=10_000), queueing(1000))

    assert 900 / 1.1 <= found.value <= 900


def test_the_last_load_ends_it():
    tried, found = climb(Ramp("concurrency", 1, 6), lambda clients: (clients * 100.0, 10_000, 0.0))

    assert tried == [1, 2, 4, 6] and found.value == 6


def test_loads_that_fail_are_not_served_well():
    tried, found = climb(
        Ramp("concurrency", 1, 64), lambda clients: (clients * 100.0, 10_000, 0.5 if clients > 8 else 0.0)
    )

    assert found.value == 8 and max(tried) == 16


def test_throughput_that_falls_is_not_better_for_more_clients():
    readings = [Reading(1, 100, 10), Reading(2, 190, 11), Reading(4, 120, 30)]

    assert knee(readings, Ramp("concurrency", 1, 4, limit_us=50)).value == 2


def test_nothing_is_found_where_nothing_was_answered():
    assert knee([Reading(1, 0.0, float("nan"), 1.0)], Ramp("concurrency", 1, 4)) is None
    assert next_value([Reading(1, 0.0, float("nan"), 1.0)], Ramp("concurrency", 1, 4)) is None
