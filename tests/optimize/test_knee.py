"""How many requests at a time suit a server: the search, against servers that are formulas."""

import math

import pytest

from windlass.optimize.tune.search.knee import Bounds, Point, knee, next_concurrency


def queueing(concurrency: int, *, service_us: float, servers: int) -> Point:
    """A server with so many places, each taking ``service_us``: latency grows once all are taken."""
    latency = service_us * max(1.0, concurrency / servers)
    return Point(concurrency, concurrency / latency * 1e6, latency, latency * 1.1)


def search(bounds: Bounds, **server: float) -> list[Point]:
    points: list[Point] = []
    while (concurrency := next_concurrency(points, bounds)) is not None:
        points.append(queueing(concurrency, **server))
    return points


def test_without_a_limit_the_least_concurrency_with_all_the_throughput_is_found():
    points = search(Bounds(start=4), service_us=1000, servers=8)
    assert knee(points, None).concurrency == 8
    assert len(points) <= 5


def test_a_start_that_is_too_high_is_halved_once():
    points = search(Bounds(start=16), service_us=1000, servers=8)
    assert knee(points, None).concurrency == 8


@pytest.mark.parametrize("start", [1, 4, 16, 64])
@pytest.mark.parametrize("limit_ms", [3, 5, 20])
def test_with_a_limit_the_best_within_it_is_found(start, limit_ms):
    limit_us = limit_ms * 1000.0
    points = search(Bounds(start=start, limit_us=limit_us), service_us=1000, servers=4)
    found = knee(points, limit_us)
    assert found.p99_us <= limit_us
    assert found.throughput >= 0.9 * 4000
    assert len(points) <= 5


def test_a_server_that_is_slower_than_the_limit_has_no_knee():
    points = search(Bounds(start=8, limit_us=500), service_us=1000, servers=4)
    assert knee(points, 500) is None
    assert points[-1].concurrency == 1


def test_failures_end_the_search_and_count_for_nothing():
    failed = Point(4, 100.0, 10, 20, failed=3)
    assert next_concurrency([failed], Bounds(start=4)) is None
    assert knee([failed], None) is None


def test_no_more_than_the_most_is_asked():
    points = search(Bounds(start=4, most=16), service_us=1000, servers=1000)
    assert max(point.concurrency for point in points) == 16
    assert math.isclose(knee(points, None).throughput, 16000)
