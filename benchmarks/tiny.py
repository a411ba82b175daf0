"""The cost of a request: the tiny model, JSON over HTTP and binary tensors over gRPC, against the peers."""

import statistics
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks import load, models, peers

CONNECTIONS = (1, 16, 64)


def rest(names: Iterable[str], seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Measure JSON with wrk; peers take turns, so that a noisy minute hits all."""
    return _measure("rest", names, rounds, lambda server, _, count: load.wrk(server, count, seconds))


def grpc(names: Iterable[str], seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Measure gRPC with perf_analyzer, for those that speak the protocol."""
    speaking = [name for name in names if name == "triton" or name.startswith("windlass")]
    model = {"windlass-function": "function"}
    return _measure(
        "grpc", speaking, rounds, lambda server, name, count: load.perf(server, model.get(name, "tiny"), count, seconds)
    )


def _measure(
    section: str, names: Iterable[str], rounds: int, measure: Callable[[peers.Running, str, int], load.Measured]
) -> list[dict[str, Any]]:
    found: dict[tuple[str, int], list[load.Measured]] = {}
    for _ in range(rounds):
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                repository = models.write_tiny(Path(folder), function=name.startswith("windlass"))
                with peers.running(name, repository) as server:
                    load.check(server)
                    for count in CONNECTIONS:
                        found.setdefault((name, count), []).append(measure(server, name, count))
    return [_row(section, name, count, times) for (name, count), times in found.items()]


def _row(section: str, name: str, count: int, measured: list[load.Measured]) -> dict[str, Any]:
    rates = [one.rate for one in measured]
    middle = {
        key: statistics.median(getattr(one, key) for one in measured) for key in ("rate", "p50_us", "p99_us", "cpu_s")
    }
    return {
        "section": section,
        "server": name,
        "connections": count,
        **middle,
        "spread": (max(rates) - min(rates)) / middle["rate"],
    }


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goals for the tiny model, each with what was found."""
    by = {
        (row["section"], row["server"], row["connections"]): row for row in rows if row["section"] in ("rest", "grpc")
    }

    def ratio(section: str, peer: str, count: int, key: str, ours: str = "windlass-in-process") -> float | None:
        our, their = by.get((section, ours, count)), by.get((section, peer, count))
        return our[key] / their[key] if our and their else None

    wanted = [
        (
            "REST, 64 connections: requests per second against Triton, model in its own process",
            ratio("rest", "triton", 64, "rate", "windlass"),
            ">=",
            3.0,
        ),
        ("REST, 64 connections: requests per second against Triton", ratio("rest", "triton", 64, "rate"), ">=", 4.0),
        ("REST, 64 connections: requests per second against mosec", ratio("rest", "mosec", 64, "rate"), ">=", 4.0),
        (
            "REST, 64 connections: requests per second against the bare loop",
            ratio("rest", "bare", 64, "rate"),
            ">=",
            1.0,
        ),
        ("REST, 1 connection: p50 against Triton's", ratio("rest", "triton", 1, "p50_us"), "<=", 0.4),
        ("gRPC, 64: inferences per second against Triton", ratio("grpc", "triton", 64, "rate"), ">=", 2.0),
        ("gRPC, 64: server CPU per request against Triton's", ratio("grpc", "triton", 64, "cpu_s"), "<=", 1 / 3),
    ]
    return [
        {
            "goal": text,
            "wanted": f"{sign} {limit:.2f}",
            "found": value,
            "reached": value >= limit if sign == ">=" else value <= limit,
        }
        for text, value, sign, limit in wanted
        if value is not None
    ]
