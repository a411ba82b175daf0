"""A whole measurement: what was asked of whom, where, and what came of it; and what that says."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from windlass.bench.levels import Kind
from windlass.bench.point import Point
from windlass.bench.ramp import Ramp, knee
from windlass.report import Machine
from windlass.report.numbers import amount, duration

PROTOCOLS = {"rest": "REST, binary tensors", "json": "REST, JSON", "grpc": "gRPC"}


@dataclass(frozen=True)
class Result:
    """Points in the order in which they were measured. ``sources`` says where each model's inputs are from."""

    points: tuple[Point, ...]
    sources: Mapping[str, str]
    protocol: str
    batch: int
    address: str
    own_server: bool
    machine: Machine
    command: str
    date: str
    ramp: bool = False
    limit_us: float | None = None

    @property
    def kind(self) -> Kind:
        """What the levels are."""
        return self.points[0].level.kind if self.points else "concurrency"

    @cached_property
    def ascending(self) -> tuple[Point, ...]:
        """The points from least load to most."""
        return tuple(sorted(self.points, key=lambda point: point.level.value))

    @cached_property
    def best(self) -> Point | None:
        """The most load that was served well, of what was measured."""
        found = knee([point.reading for point in self.points], Ramp(self.kind, 1, 1, self.limit_us))
        return next((point for point in self.points if point.reading is found), None)

    @property
    def all_failed(self) -> bool:
        """Tell whether nothing was answered with success."""
        return bool(self.points) and not any(point.total.requests for point in self.points)

    def notes(self) -> list[str]:
        """Say what a reader of the figures has to know, once."""
        notes = [note for point in self.points for note in point.notes()]
        cached = max((part.server.cached for point in self.points for part in point.parts if part.server), default=0.0)
        if cached > 0.01:
            notes.append(f"up to {cached:.0%} of the requests were answered from the response cache, not by the model")
        if self.machine.load > max(self.machine.cores / 4, 0.5):
            notes.append(
                f"the machine was busy before: its load was {self.machine.load:g} on {self.machine.cores} cores"
            )
        return notes

    def verdict(self) -> str:
        """Say in a sentence what was found."""
        names = " and ".join(self.sources)
        within = f" with p99 within {duration(self.limit_us)}" if self.limit_us is not None else ""
        if self.best is None:
            return f"{names}: {'no request was answered' if self.all_failed else f'nothing was served well{within}'}."
        heard = self.best.total
        p50, p99 = (duration(heard.latencies.percentile(percent)) for percent in (50, 99))
        rows = f" ({amount(heard.rate * self.batch)} rows)" if self.batch > 1 else ""
        most = f", the most{within}" if within else ""
        return (
            f"{names}: {amount(heard.rate)} requests{rows} a second at {self.best.level}{most}; p50 {p50}, p99 {p99}."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        best = self.best
        return {
            "command": self.command,
            "date": self.date,
            "address": self.address,
            "own_server": self.own_server,
            "protocol": self.protocol,
            "batch": self.batch,
            "inputs": dict(self.sources),
            "limit_p99_us": self.limit_us,
            "machine": asdict(self.machine),
            "points": [point.as_dict() for point in self.points],
            "best": None if best is None else {best.level.kind: best.level.value},
            "notes": self.notes(),
        }
