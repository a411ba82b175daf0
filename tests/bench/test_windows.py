"""When a measurement is settled, and how its parts become one."""

import math

import pytest

from windlass.bench.outcome import Interval, Latencies, Outcome
from windlass.bench.point import line_of_time
from windlass.bench.statistics import Counts, ServerSide
from windlass.bench.windows import Window, one_after_another, settled, together, window


def outcome(requests, values, *, seconds=0.2, failures=None, unsent=0, delay_us=None):
    counts = tuple([requests // len(values)] * len(values))
    latencies = Latencies(tuple(values), counts, sum(values) * counts[0], max(values))
    return Outcome(
        requests=requests,
        failures=failures or {},
        unsent=unsent,
        seconds=seconds,
        latencies=latencies,
        delays=Latencies((delay_us,), (requests,), delay_us * requests, delay_us) if delay_us else Latencies(),
        intervals=tuple(Interval(requests // 2, 1 if failures else 0, 50.0 * requests) for _ in range(2)),
        connections=1,
        cpu_seconds=0.1,
        examples={"status 500": "why"} if failures else {},
    )


@pytest.mark.parametrize(
    ("rates", "p99s", "expected"),
    [
        ([100, 100], [1, 1], False),
        ([100, 105, 95], [10, 10, 10], True),
        ([100, 100, 130], [10, 10, 10], False),
        ([100, 100, 100], [10, 10, 20], False),
        ([10, 99, 100, 101], [90, 10, 10.5, 9.5], True),
        ([100, 100, 100], [math.nan, 10, 10], False),
    ],
)
def test_a_measurement_is_settled_when_the_last_three_windows_agree(rates, p99s, expected):
    windows = [Window(rate, p99) for rate, p99 in zip(rates, p99s, strict=True)]

    assert settled(windows, 0.1) is expected


def test_windows_behind_each_other_become_one():
    heard = one_after_another(
        [
            outcome(100, [1000.0], seconds=0.2),
            outcome(300, [3000.0], seconds=0.2, failures={"status 500": 100}, unsent=2),
        ],
        "rate",
    )

    assert (heard.requests, heard.seconds, heard.unsent) == (400, 0.4, 2)
    assert heard.rate == pytest.approx(1000)
    assert (heard.latencies.percentile(25), heard.latencies.percentile(26), heard.latencies.max_us) == (
        1000,
        3000,
        3000,
    )
    assert heard.failures == {"status 500": 100} and heard.examples == {"status 500": "why"}
    assert heard.failed == 0.2


def test_loads_of_the_same_time_become_one():
    fast = one_after_another([outcome(300, [1000.0], delay_us=100.0)], "rate")
    slow = one_after_another([outcome(100, [9000.0], failures={"timed out": 4})], "rate")

    both = together([fast, slow])

    assert together([fast]) is fast
    assert both.rate == fast.rate + slow.rate and both.requests == 400 and both.seconds == 0.2
    assert both.latencies.percentile(75) == 1000 and both.latencies.percentile(76) == 9000
    assert both.delay_us == 75 and both.failures == {"timed out": 4}
    assert window([outcome(300, [1000.0]), outcome(100, [9000.0])], "rate") == Window(2000, 9000)


def test_intervals_of_all_loads_are_laid_behind_each_other():
    ticks = line_of_time([[outcome(100, [1.0]), outcome(20, [1.0])], [outcome(60, [1.0], failures={"timed out": 2})]])

    assert [tick.at for tick in ticks] == [0, 0.1, 0.2, 0.3]
    assert [tick.rate for tick in ticks] == [600, 600, 300, 300]
    assert [tick.failing for tick in ticks] == [0, 0, 10, 10]
    assert ticks[0].mean_us == 100


def stats(scale):
    parts = {"success": (10, 1000), "fail": (1, 5), "queue": (10, 300), "compute_input": (10, 50),
             "compute_infer": (10, 400), "compute_output": (10, 50), "cache_hit": (2, 7)}  # fmt: skip
    told = {name: {"count": count * scale, "ns": ns * 1000 * scale} for name, (count, ns) in parts.items()}
    return {"inference_stats": told, "inference_count": 40 * scale, "execution_count": 5 * scale}


def test_what_the_server_did_between_two_moments_is_the_difference_of_all_versions():
    side = ServerSide.between(Counts.of([stats(1)]), Counts.of([stats(2), stats(3)]))

    assert side == ServerSide(total_us=100, queue_us=30, compute_us=50, batch=8, cached=0.2)
    assert ServerSide.between(Counts.of([stats(1)]), Counts.of([stats(1)])) is None
    assert Counts.of([{}]) == Counts()
