"""Successive halving and the choice among results, with values."""

import pytest

from windlass.optimize.tune.search.budget import Budget
from windlass.optimize.tune.search.halving import LONGEST_S, SHORTEST_S, around, last, order, rungs
from windlass.optimize.tune.search.knee import Point
from windlass.optimize.tune.search.objective import Objective, Score, Served, frontier, score, winner
from windlass.optimize.tune.space import OFF, Artefact, Batching, Candidate, Layout, Variant

ENGINE = Variant("openvino", Artefact())


def candidate(size: int = 1, delay_us: int = 0, instances: int = 1) -> Candidate:
    return Candidate(ENGINE, Layout(instances, 2), Batching(size, delay_us) if size > 1 else OFF)


def scored(throughput: float, p99_us: float = 1000.0, reason: str = "") -> Score:
    return Score(throughput, p99_us, p99_us / 2, 8, 1 << 20, 0.01, 3, reason)


def test_each_rung_has_half_the_candidates_and_longer_windows():
    planned = rungs(12, seconds=240, start_s=2)
    assert [rung.candidates for rung in planned] == [12, 6, 3]
    assert [rung.turns for rung in planned] == [1, 2, 3]
    assert planned[0].window_s < planned[1].window_s < planned[2].window_s


@pytest.mark.parametrize("seconds", [5, 20, 60, 300, 3600])
@pytest.mark.parametrize("start_s", [0.5, 3, 10])
def test_a_plan_fits_into_the_time_there_is(seconds, start_s):
    planned = rungs(12, seconds, start_s)
    spent = sum(rung.candidates * (start_s + (4 + rung.turns - 1) * rung.window_s) for rung in planned)
    lone = len(planned) == 1 and planned[0].candidates == 1
    assert spent <= seconds * 1.001 or lone
    assert all(SHORTEST_S <= rung.window_s <= LONGEST_S for rung in planned)


def test_without_time_nothing_is_planned():
    assert rungs(8, seconds=0, start_s=1) == around(8, seconds=0, start_s=1) == last(2, seconds=0) == ()


@pytest.mark.parametrize("seconds", [5, 20, 60, 300])
def test_a_look_around_takes_fewer_where_time_is_short(seconds):
    planned = around(9, seconds, start_s=2)
    assert sum(rung.candidates * rung.turns * rung.window_s for rung in planned) <= seconds
    assert not planned or planned[0].candidates == min(9, planned[0].candidates)
    assert len(around(9, 300, start_s=2)) == 2


def test_the_last_comparison_has_three_turns_where_there_is_time():
    assert [rung.turns for rung in (*last(2, seconds=60), *last(2, seconds=4))] == [3, 1]


def test_turns_come_in_an_order_that_the_seed_decides():
    names = list("abcdefgh")
    assert order(names, 1, "rung 1", 0) == order(names, 1, "rung 1", 0)
    assert order(names, 1, "rung 1", 0) != order(names, 1, "rung 1", 1)
    assert sorted(order(names, 1, "rung 1", 1)) == names


def test_the_median_of_the_turns_counts_and_most_of_them_have_to_be_good():
    turns = [Served(Point(8, rate, 900, 1000), 1 << 20) for rate in (100, 110, 40)]
    found = score(turns, Objective())
    assert found.throughput == 100
    assert found.spread == pytest.approx(0.7)
    bad = [Served(None, 0, "p99 is never within 5 ms"), *turns[:1]]
    assert score(bad, Objective()).reason == "p99 is never within 5 ms"


def test_too_much_memory_puts_a_candidate_out():
    turns = [Served(Point(8, 100, 900, 1000), 3 << 20)]
    assert "takes 3 MiB of memory, more than 2 MiB" in score(turns, Objective(memory_bytes=2 << 20)).reason


def test_of_two_that_are_as_good_the_simpler_wins():
    scores = {candidate(8, 2000): scored(1010), candidate(8): scored(1000), candidate(): scored(700)}
    assert winner(scores) == candidate(8)
    assert winner({**scores, candidate(): scored(990)}) == candidate()
    assert winner({candidate(): scored(900, reason="too slow")}) is None


def test_the_frontier_trades_throughput_for_latency():
    scores = {candidate(8): scored(1000, 9000), candidate(4): scored(800, 4000), candidate(2): scored(700, 6000)}
    assert frontier(scores) == [candidate(8), candidate(4)]


def test_a_budget_counts_what_earlier_runs_spent():
    now = [100.0]
    budget = Budget.begin(60, lambda: now[0], before_s=20)
    now[0] += 15
    assert (budget.spent_s, budget.left_s, budget.left_until(0.75)) == (35, pytest.approx(23.8), 10)
    now[0] += 100
    assert budget.left_s == 0
