"""Bars of parts that make a whole: shares of a time, drawn by the template ``bars.html.j2``."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its name, what it is in all, and its parts as shares of the longest bar."""

    name: str
    text: str
    parts: tuple[tuple[str, float, str], ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars over each other. The names of parts are the same, and in the same order, in each."""

    title: str
    tells: str
    parts: tuple[str, ...]
    bars: tuple[Bar, ...]

    @staticmethod
    def of(
        title: str, tells: str, parts: tuple[str, ...], rows: list[tuple[str, str, list[tuple[float, str]]]]
    ) -> "Bars":
        """Scale rows of (name, text, parts as value and text) to the longest."""
        longest = max((sum(value for value, _ in values) for _, _, values in rows), default=0.0) or 1.0
        bars = tuple(
            Bar(
                name,
                text,
                tuple(
                    (part, round(value / longest * 100, 2), words)
                    for part, (value, words) in zip(parts, values, strict=True)
                ),
            )
            for name, text, values in rows
        )
        return Bars(title, tells, parts, bars)
