"""The geometry of charts, and of bars."""

from windlass.report import Axis, Bars, Chart, Level, Series
from windlass.report.chart import described


def chart(*series: Series, x: Axis | None = None, y: Axis | None = None, levels: tuple[Level, ...] = ()) -> Chart:
    return Chart("Title", "what it tells", x or Axis("load"), y or Axis("rate"), series, levels)


RISING = Series("rising", ((0, 0), (5, 50), (10, 100)))


def test_points_stand_in_the_plot_from_left_to_right_and_from_below():
    drawn = chart(RISING)

    places = [(x, y) for x, y, _ in drawn.places(RISING)]
    assert places == [(drawn.left, drawn.bottom), ((drawn.left + drawn.right) / 2, 148), (drawn.right, drawn.top)]
    assert drawn.path(RISING).startswith(f"M{drawn.left}.0 {drawn.bottom}")
    assert drawn.area(RISING).endswith(f"L{drawn.left}.0 {drawn.bottom} Z")
    assert [words for _, _, words in drawn.places(RISING)][1] == "load 5: 50"


def test_texts_of_an_axis_never_touch():
    marks = tuple(float(value) for value in range(1000, 1100))
    drawn = chart(Series("a", tuple((mark, 1.0) for mark in marks)), x=Axis("load", marks=marks))

    shown = drawn.x_ticks()
    assert shown[0][1] == "1,000" and 3 < len(shown) < 20
    assert all(after - before > 30 for (before, _), (after, _) in zip(shown, shown[1:], strict=False))


def test_names_stand_at_the_end_of_lines_and_apart():
    lines = [Series(name, ((0, 1), (1, value))) for name, value in (("p50", 10), ("p90", 10.1), ("p99", 3))]

    named = chart(*lines).names()

    assert [line.name for _, _, line in named] == ["p50", "p90", "p99"]
    places = sorted(y for _, y, _ in named)
    assert all(after - before >= 15 for before, after in zip(places, places[1:], strict=False))
    assert chart(lines[0]).names() == []


def test_limits_are_within_the_plot():
    drawn = chart(RISING, levels=(Level("limit", y=480.0),))

    assert drawn.bottom > drawn.y_scale.place(480.0) > drawn.top


def test_a_logarithmic_axis_has_room_above_and_below():
    drawn = chart(Series("a", ((1, 10), (2, 1000))), y=Axis("latency", log=True))

    assert drawn.y_scale.place(1000) > drawn.top and drawn.y_scale.place(10) < drawn.bottom
    assert [text for _, text in drawn.y_ticks()] == ["10", "30", "100", "300", "1,000"]


def test_a_chart_of_nothing_can_be_drawn():
    assert chart().x_ticks() and chart().y_ticks() and chart().names() == []
    assert described([Series("empty", ()), RISING]) == "rising from 0 to 100"


def test_bars_are_shares_of_the_longest():
    bars = Bars.of(
        "Time", "tells", ("queue", "compute"), [("1", "4", [(1, "1"), (3, "3")]), ("2", "2", [(2, "2"), (0, "0")])]
    )

    assert [[share for _, share, _ in bar.parts] for bar in bars.bars] == [[25, 75], [50, 0]]
    assert Bars.of("Time", "tells", ("queue",), [("1", "0", [(0, "0")])]).bars[0].parts[0][1] == 0
