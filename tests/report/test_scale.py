"""Where values stand on an axis, with which ticks."""

import pytest

from windlass.report.scale import Scale, apart, ceiling, ticks


def test_values_stand_in_proportion_and_never_outside():
    even = Scale(0, 10, 100, 200)
    powers = Scale(1, 100, 200, 0, log=True)

    assert [even.place(value) for value in (-5, 0, 2.5, 10, 11)] == [100, 100, 125, 200, 200]
    assert [powers.place(value) for value in (1, 10, 100)] == [200, 100, 0]
    assert Scale(3, 3, 0, 10).place(3) == 5


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (0, 10, False, [0, 2, 4, 6, 8, 10]),
        (0, 1.2, False, [0, 0.25, 0.5, 0.75, 1.0]),
        (7, 7, False, [7]),
        (1, 1000, True, [1, 3, 10, 30, 100, 300, 1000]),
        (1, 1e6, True, [10**power for power in range(7)]),
        (1, 20, True, [1, 2, 5, 10, 20]),
        (1.2, 1.8, True, [1.2, 1.8]),
    ],
)
def test_ticks_are_round(low, high, log, expected):
    assert ticks(low, high, log=log) == pytest.approx(expected)


@pytest.mark.parametrize(("values", "expected"), [((3, 17), 20), ((), 1), ((0,), 1), ((100,), 100), ((0.31,), 0.4)])
def test_an_axis_ends_at_a_round_value(values, expected):
    assert ceiling(values) == pytest.approx(expected)


def test_names_make_room_for_each_other():
    assert apart([50, 52, 10], 15, 0, 100) == [50, 65, 10]
    assert apart([98, 99, 100], 15, 0, 100) == [70, 85, 100]
    assert apart([1, 1, 1], 80, 0, 100) == [0, 50, 100]
    assert apart([], 15, 0, 100) == []
