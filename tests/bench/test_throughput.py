"""Answers a second, from windows of made-up servers whose rate is known."""

import pytest

from windlass.bench.outcome import INTERVAL_S, Interval, Latencies, Outcome
from windlass.bench.throughput import closed_rate, open_rate


def outcome(answers: list[tuple[float, float]], seconds: float) -> Outcome:
    """Of answers: when each came, and its latency."""
    counts = [0] * (1 + int(max((at for at, _ in answers), default=0) / INTERVAL_S + 1e-9))
    for at, _ in answers:
        counts[int(at / INTERVAL_S + 1e-9)] += 1
    values = sorted({latency * 1e6 for _, latency in answers})
    told = tuple(sum(latency * 1e6 == value for _, latency in answers) for value in values)
    total = sum(latency * 1e6 for _, latency in answers)
    return Outcome(
        requests=len(answers),
        failures={},
        unsent=0,
        seconds=seconds,
        latencies=Latencies(tuple(values), told, total, max(values, default=0.0)),
        delays=Latencies(),
        intervals=tuple(Interval(count, 0, 0.0) for count in counts),
        connections=1,
        cpu_seconds=0.0,
    )


def clients(count: int, latency: float, seconds: float) -> Outcome:
    """A closed loop of clients that begin together, each answered after the same time."""
    answers = []
    for _ in range(count):
        at = 0.0
        while at < seconds - 1e-9:
            at += latency
            answers.append((at, latency))
    return outcome(answers, seconds)


@pytest.mark.parametrize(
    ("count", "latency", "seconds"), [(4, 0.001, 1.0), (8, 0.03, 1.0), (16, 0.27, 1.0), (2, 0.8, 2.0), (3, 2.5, 1.0)]
)
def test_a_closed_loop_answers_as_often_as_its_clients_can_ask(count, latency, seconds):
    told = clients(count, latency, seconds)

    assert closed_rate(told) == pytest.approx(count / latency, rel=0.05)


@pytest.mark.parametrize(("rate", "latency"), [(100, 0.001), (100, 0.25), (40, 1.5)])
def test_an_open_loop_that_is_kept_up_with_answers_at_its_rate(rate, latency):
    told = outcome([(place / rate + latency, latency) for place in range(rate)], 1.0)

    assert open_rate(told) == pytest.approx(rate, rel=0.05)


def test_an_open_loop_that_is_too_much_answers_at_the_servers_rate():
    # 400 a second are asked, 100 a second answered: the last after four seconds.
    told = outcome([((place + 1) / 100, (place + 1) / 100 - place / 400) for place in range(400)], 1.0)

    assert open_rate(told) == pytest.approx(100, rel=0.05)


def test_where_nothing_was_answered_there_is_no_rate():
    assert closed_rate(outcome([], 1.0)) == open_rate(outcome([], 1.0)) == 0
