"""Whether the best that was found is worth a change: with values."""

import pytest

from windlass.errors import UsageError
from windlass.optimize.tune.search.decision import decided
from windlass.optimize.tune.search.objective import Score
from windlass.optimize.tune.space import OFF, Artefact, Candidate, Layout, Variant

NOW = Candidate(Variant("pytorch", Artefact()))
LEADER = Candidate(Variant("openvino", Artefact(), "bf16"), Layout(1, 2), OFF)


def scored(throughput: float, reason: str = "") -> Score:
    return Score(throughput, 1000.0, 900.0, 8, 1 << 20, 0.0, 3, reason)


def test_what_is_clearly_better_is_chosen_with_its_gain():
    chosen, why = decided(LEADER, NOW, {LEADER: scored(100), NOW: scored(10)})
    assert chosen == LEADER
    assert why.startswith("it has 10.0 times the throughput of the original")


def test_what_is_hardly_better_is_not_worth_a_change():
    chosen, why = decided(LEADER, NOW, {LEADER: scored(101), NOW: scored(100)})
    assert chosen == NOW
    assert "1.01 times its throughput: not worth a change" in why


def test_an_original_that_is_over_a_limit_is_replaced_whatever_it_could_do():
    chosen, why = decided(LEADER, NOW, {LEADER: scored(10), NOW: scored(100, "p99 is 90 ms")})
    assert chosen == LEADER
    assert why == "the original as configured is out: p99 is 90 ms"


def test_nothing_is_chosen_that_was_not_held_against_the_original():
    chosen, why = decided(LEADER, NOW, {LEADER: scored(100)})
    assert chosen is None
    assert why.startswith("there was no time to hold openvino")
    assert "longer --budget" in why


def test_where_nothing_is_within_the_limits_the_reasons_are_told():
    chosen, why = decided(None, NOW, {LEADER: scored(0, "takes 900 MiB"), NOW: scored(0, "takes 800 MiB")})
    assert chosen is None
    assert why == "nothing is within the limits: takes 900 MiB; takes 800 MiB"


def test_where_nothing_was_measured_more_time_is_asked_for():
    with pytest.raises(UsageError, match="the time was over before anything was served"):
        decided(None, NOW, {})
