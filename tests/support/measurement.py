"""A measurement of fixed values: what reports and tables are tested with."""

import math

from windlass.bench.footprint import Memory
from windlass.bench.levels import Level
from windlass.bench.outcome import Latencies
from windlass.bench.point import Cost, Part, Point, Tick
from windlass.bench.result import Result
from windlass.bench.statistics import ServerSide
from windlass.bench.windows import Heard, Window
from windlass.report import Machine

MACHINE = Machine(
    cpu="Example CPU 9000 at 2.5 GHz",
    cores=8,
    memory_bytes=32 << 30,
    features=("AVX2", "AVX-512", "AVX-512 VNNI"),
    kernel="6.1.0",
    python="3.12.1",
    windlass="0.1.0",
    load=0.1,
)


def latencies(median_us: float, spread: float, count: int) -> Latencies:
    """A long tail to the right, as servers have it."""
    shares = [(step + 0.5) / 400 for step in range(400)]
    values = [median_us * math.exp(spread * math.log(share / (1 - share))) for share in shares]
    counts = [max(count // 400, 1)] * 400
    return Latencies(tuple(values), tuple(counts), sum(v * c for v, c in zip(values, counts, strict=True)), values[-1])


def heard(rate: float, median_us: float, spread: float = 0.2, **other) -> Heard:
    """What came back in three seconds."""
    plain = {"failures": {}, "examples": {}, "unsent": 0, "delay_us": 0.0}
    requests = int(rate * 3)
    return Heard(rate, requests, 3.0, latencies(median_us, spread, requests), **{**plain, **other})


def part(model: str, told: Heard, queue: float = 0.1, compute: float = 0.6, batch: float = 1.0) -> Part:
    """One model; queue and compute are shares of its mean latency."""
    mean = told.latencies.mean_us
    return Part(model, told, ServerSide(0.9 * mean, queue * mean, compute * mean, batch, 0.0))


def point(level: Level, *parts: Part, settled: bool = True, cores: float = 0.2, cpu: float = 9.0) -> Point:
    """One level, measured in three windows of a second."""
    rate = sum(one.heard.rate for one in parts)
    p99 = max(one.heard.latencies.percentile(99) for one in parts)
    ticks = tuple(Tick(round(place / 10, 1), rate * (1 + 0.06 * math.sin(place)), 0.0, p99 / 2) for place in range(30))
    return Point(
        level=level,
        parts=parts,
        windows=tuple(Window(rate * share, p99) for share in (0.99, 1.0, 1.01)),
        settled=settled,
        generator_cores=cores,
        generator_threads=1,
        cost=Cost(cpu, 3.0, Memory(812 << 20, "PSS")),
        ticks=ticks,
    )


def result(*points: Point, **other) -> Result:
    """A measurement."""
    plain = {
        "sources": {one.model: "generated from seed 0" for one in points[0].parts},
        "protocol": "rest",
        "batch": 1,
        "address": "http://127.0.0.1:8000",
        "own_server": True,
        "machine": MACHINE,
        "command": "windlass bench resnet --ramp --latency-p99 50ms --report resnet.html",
        "date": "2026-11-21 12:00 UTC",
    }
    return Result(points=points, **{**plain, **other})


def closed_loop() -> Result:
    """A ramp that finds its knee at 16 clients; the last level did not settle, and was too much for the generator."""
    figures = [
        (1, 210, 4_600, 0.02, 0.75, 1),
        (2, 402, 4_800, 0.04, 0.72, 1.4),
        (4, 760, 5_100, 0.08, 0.7, 2.6),
        (8, 1_310, 5_900, 0.12, 0.68, 5.1),
        (16, 1_980, 7_700, 0.2, 0.62, 9.7),
        (32, 2_060, 14_900, 0.55, 0.35, 15.9),
        (64, 2_075, 29_800, 0.78, 0.18, 16),
    ]
    points = [
        point(
            Level("concurrency", clients),
            part("resnet", heard(rate, median, 0.12 + clients / 300), queue, compute, batch),
            settled=clients < 64,
            cores=0.97 if clients == 64 else clients / 100,
            cpu=min(clients, 8) * 2.6,
        )
        for clients, rate, median, queue, compute, batch in figures
    ]
    return result(*points, ramp=True, limit_us=50_000.0)


def open_loop() -> Result:
    """Two models; the third rate is more than they carry, and some of it fails."""
    points = []
    for rate, share, failures in ((100, 1.0, {}), (200, 0.99, {}), (400, 0.7, {"status 503": 41})):
        slow, said = (7, {"status 503": '{"error": "the queue is full"}'}) if failures else (1, {})
        delay = 20_000.0 if failures else 150.0
        resnet = heard(
            rate * share * 0.75, 9_000 * slow, delay_us=delay, failures=failures, examples=said, unsent=12 * (slow > 1)
        )
        bert = heard(rate * share * 0.25, 14_000 * slow, delay_us=delay)
        points.append(point(Level("rate", rate), part("resnet", resnet, 0.3, 0.3), part("bert:2", bert, 0.2, 0.4)))
    return result(*points, protocol="grpc", address="grpc://10.0.0.7:8001", own_server=False, batch=4)
