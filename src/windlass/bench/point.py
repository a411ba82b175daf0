"""What was measured at one level of load, and what it means."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from windlass.bench.footprint import Memory
from windlass.bench.levels import Level
from windlass.bench.outcome import INTERVAL_S
from windlass.bench.ramp import CARRIED, Reading
from windlass.bench.statistics import ServerSide
from windlass.bench.windows import AGREEING, Heard, Window, together
from windlass.report.numbers import amount, duration

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
# From so much of a core on the generator may be what is measured.
LIMITING = 0.9


@dataclass(frozen=True, slots=True)
class Part:
    """One model: what the generator heard of it, and what the server says about that."""

    model: str
    heard: Heard
    server: ServerSide | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What the server's processes cost meanwhile, where they are on this machine."""

    cpu_seconds: float
    seconds: float
    memory: Memory | None

    @property
    def cores(self) -> float:
        """How many cores were busy with it."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A tenth of a second: from when, answers a second, failures a second, mean latency (``None`` without answers)."""

    at: float
    rate: float
    failing: float
    mean_us: float | None


@dataclass(frozen=True)
class Point:
    """All models at one level. ``windows`` are all that were measured; the figures are those of the last of them."""

    level: Level
    parts: tuple[Part, ...]
    windows: tuple[Window, ...]
    settled: bool
    generator_cores: float
    generator_threads: int
    cost: Cost | None
    ticks: tuple[Tick, ...] = ()
    interrupted: bool = False

    @cached_property
    def total(self) -> Heard:
        """All models together."""
        return together([part.heard for part in self.parts])

    @cached_property
    def reading(self) -> Reading:
        """What a ramp has to know."""
        heard = self.total
        return Reading(self.level.value, heard.rate, heard.latencies.percentile(99), heard.failed)

    @property
    def limited(self) -> bool:
        """Tell whether the generator may have been the limit."""
        return self.generator_cores >= LIMITING * self.generator_threads

    @property
    def cpu_us(self) -> float | None:
        """CPU time of the server for each answer."""
        answers = self.total.requests
        return self.cost.cpu_seconds / answers * 1e6 if self.cost and answers else None

    def summary(self) -> str:
        """Say the most important in a line."""
        heard = self.total
        if not heard.requests:
            return "no request was answered"
        p99 = duration(heard.latencies.percentile(99))
        return f"{amount(heard.rate)} requests/s, p99 {p99}, after {_counted(self.windows)}"

    def notes(self) -> list[str]:
        """Say what a reader of the figures has to know."""
        heard, notes = self.total, []
        if self.interrupted:
            notes.append(f"{self.level}: interrupted; the figures are those of what was measured until then")
        elif not self.settled:
            which = "the last three" if len(self.windows) >= AGREEING else "all of them"
            notes.append(f"{self.level}: did not settle in {_counted(self.windows)}; the figures are those of {which}")
        if self.limited:
            notes.append(
                f"{self.level}: the load generator was busy for {self.generator_cores:.2f} cores of "
                f"{self.generator_threads}: it may have been the limit, not the server"
            )
        if heard.failures:
            reasons = ", ".join(f"{count:,} x {_reason(reason, heard)}" for reason, count in heard.failures.items())
            notes.append(f"{self.level}: {heard.failed:.2%} of the requests failed: {reasons}")
        notes += [f"{self.level}: `{part.model}` answered nothing" for part in self.parts if not part.heard.requests]
        if self.level.kind == "rate" and heard.rate < CARRIED * self.level.value:
            notes.append(
                f"{self.level}: the server answered {heard.rate:,.0f} a second, {heard.unsent:,} were not sent"
            )
        return notes

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            self.level.kind: self.level.value,
            **_heard(self.total),
            "models": [{"model": part.model, **_heard(part.heard), "server": _server(part)} for part in self.parts],
            "settled": self.settled,
            "interrupted": self.interrupted,
            "windows": [{"rate": round(one.rate, 2), "p99_us": _plain(one.p99_us)} for one in self.windows],
            "generator": {
                "cores": round(self.generator_cores, 3),
                "threads": self.generator_threads,
                "limit": self.limited,
            },
            "server": None if self.cost is None else self._cost(self.cost),
        }

    def _cost(self, cost: Cost) -> dict[str, Any]:
        memory = cost.memory
        return {
            "cpu_us_per_request": _plain(self.cpu_us),
            "cores": round(cost.cores, 3),
            "memory_bytes": memory.size_bytes if memory else None,
            "memory_kind": memory.kind if memory else None,
        }


def line_of_time(windows: Sequence[Sequence[Any]]) -> tuple[Tick, ...]:
    """Lay the intervals of windows, each a list of outcomes of the same time, behind each other."""
    ticks: list[Tick] = []
    for outcomes in windows:
        count = int(min((outcome.seconds for outcome in outcomes), default=0.0) / INTERVAL_S + 1e-6)
        for place in range(count):
            row = [outcome.intervals[place] for outcome in outcomes if place < len(outcome.intervals)]
            answers, failures = sum(one.requests for one in row), sum(one.failures for one in row)
            latency = sum(one.latency_sum_us for one in row)
            at = round(len(ticks) * INTERVAL_S, 3)
            ticks.append(Tick(at, answers / INTERVAL_S, failures / INTERVAL_S, latency / answers if answers else None))
    return tuple(ticks)


def _counted(windows: Sequence[Window]) -> str:
    return f"{len(windows)} window{'' if len(windows) == 1 else 's'}"


def _reason(reason: str, heard: Heard) -> str:
    said = " ".join(heard.examples.get(reason, "").split())
    # What servers of this protocol answer with, as far as the generator keeps it.
    said = said.removeprefix('{"error":').strip().removesuffix("}").strip('"')
    return f"{reason} ({said[:160]})" if said else reason


def _heard(heard: Heard) -> dict[str, Any]:
    latencies = heard.latencies
    return {
        "requests": heard.requests,
        "rate": round(heard.rate, 2),
        "latency_us": {
            "mean": _plain(latencies.mean_us),
            **{f"p{percent:g}": _plain(latencies.percentile(percent)) for percent in PERCENTILES},
            "max": _plain(latencies.max_us),
        },
        "failures": heard.failures,
        "examples": heard.examples,
        "unsent": heard.unsent,
        "delay_us": _plain(heard.delay_us),
    }


def _server(part: Part) -> dict[str, Any] | None:
    told = part.server
    if told is None:
        return None
    names = ("total_us", "queue_us", "compute_us", "batch", "cached")
    return {name: round(getattr(told, name), 3) for name in names}


def _plain(value: float | None) -> float | None:
    """JSON knows no NaN."""
    return None if value is None or value != value else round(value, 2)
