"""A chart of lines: values in, the geometry that the template ``chart.svg.j2`` draws out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from windlass.report.numbers import amount, plain
from windlass.report.scale import Scale, apart, ceiling, ticks

WIDTH, HEIGHT = 600, 320
LEFT, TOP, BOTTOM = 64, 26, 50
# Room for the names at the end of lines.
_LETTER = 7.4
_LINE = 15


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis tells. ``marks`` are its ticks, where those are known better than by rule."""

    label: str
    log: bool = False
    write: Callable[[float], str] = plain
    marks: tuple[float, ...] = ()
    low: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name and its points. ``rank`` is its colour; ``filled`` shades what is below it."""

    name: str
    points: tuple[tuple[float, float], ...]
    rank: int = 0
    filled: bool = False
    dotted: bool = True


@dataclass(frozen=True, slots=True)
class Level:
    """A line across the chart: a limit (at a ``y``), or a place worth noting (at an ``x``)."""

    name: str
    x: float | None = None
    y: float | None = None


@dataclass(frozen=True)
class Chart:
    """Lines over two axes. ``tells`` is what somebody who cannot see it has to know."""

    title: str
    tells: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    levels: tuple[Level, ...] = ()

    width = WIDTH
    height = HEIGHT
    left = LEFT
    top = TOP
    bottom = HEIGHT - BOTTOM

    @cached_property
    def right(self) -> float:
        """Where the plot ends: names stand behind it."""
        longest = max((len(line.name) for line in self.series), default=0) if len(self.series) > 1 else 1
        return round(WIDTH - 14 - longest * _LETTER, 1)

    @cached_property
    def x_scale(self) -> Scale:
        """Where values of the first axis stand."""
        values = [x for line in self.series for x, _ in line.points]
        low = min(values, default=0.0) if self.x.low is None else self.x.low
        return Scale(low, max(values, default=1.0), LEFT, self.right, self.x.log)

    @cached_property
    def y_scale(self) -> Scale:
        """Where values of the second axis stand: from zero, or between powers where it is logarithmic."""
        values = [y for line in self.series for _, y in line.points]
        values += [level.y for level in self.levels if level.y is not None]
        if not self.y.log:
            return Scale(0.0, ceiling(values), self.bottom, TOP)
        low, high = min(values, default=1.0), max(values, default=10.0)
        return Scale(low / 1.3, high * 1.3, self.bottom, TOP, log=True)

    def x_ticks(self) -> list[tuple[float, str]]:
        """Return places and texts; a text that would touch the one before is left out."""
        scale, shown = self.x_scale, list[tuple[float, str]]()
        for value in self.x.marks or ticks(scale.low, scale.high, count=6, log=self.x.log):
            place, text = scale.place(value), self.x.write(value)
            free = not shown or place - shown[-1][0] >= (len(text) + len(shown[-1][1])) * _LETTER / 2 + 6
            if free:
                shown.append((place, text))
        return shown

    def y_ticks(self) -> list[tuple[float, str]]:
        """Return places and texts."""
        scale = self.y_scale
        return [
            (scale.place(value), self.y.write(value))
            for value in self.y.marks or ticks(scale.low, scale.high, count=4, log=self.y.log)
        ]

    def path(self, line: Series) -> str:
        """Return a line as the commands of an SVG path."""
        return "M" + " L".join(f"{x} {y}" for x, y, _ in self.places(line))

    def area(self, line: Series) -> str:
        """Return what is below a line."""
        places = self.places(line)
        return f"{self.path(line)} L{places[-1][0]} {self.bottom} L{places[0][0]} {self.bottom} Z"

    def places(self, line: Series) -> list[tuple[float, float, str]]:
        """Return the points of a line, each with its words."""
        return [
            (self.x_scale.place(x), self.y_scale.place(y), f"{self.x.label} {self.x.write(x)}: {self.y.write(y)}")
            for x, y in line.points
        ]

    def names(self) -> list[tuple[float, float, Series]]:
        """Return where the names of lines stand: at their ends, none over another."""
        if len(self.series) < 2:
            return []
        ends = [self.places(line)[-1] for line in self.series]
        moved = apart([y for _, y, _ in ends], _LINE, TOP, self.bottom)
        return [
            (round(x + 9, 2), round(y + 4, 2), line)
            for (x, _, _), y, line in zip(ends, moved, self.series, strict=True)
        ]


def described(series: Sequence[Series], write: Callable[[float], str] = amount) -> str:
    """Say in words where lines begin and end."""
    return "; ".join(
        f"{line.name} from {write(line.points[0][1])} to {write(line.points[-1][1])}" for line in series if line.points
    )
