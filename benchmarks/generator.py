"""The load generator: what one core of it can ask, what a request costs it, whether it measures what others measure.

Against servers that are quick the generators themselves are compared: ours should not be the slower one. Against a
model that takes its time the server sets the rate, and whoever measures it has to find the same. perf_analyzer is
compared there only: against a quick server on few cores its own threads take what the server would need.
"""

import resource
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import load, models, peers
from benchmarks.tiny import CONNECTIONS
from windlass.bench.load import Closed, Load
from windlass.bench.load import measure as measure_load

BUSY = """import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        time.sleep(0.002)
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("OUTPUT0", pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy())]
            )
            for request in requests
        ]
"""

BUSY_CONFIG = models.TINY_CONFIG.replace("max_batch_size: 64", "max_batch_size: 1").replace("dynamic_batching {}\n", "")
BUSY_PATH = "/v2/models/busy/infer"
BUSY_CONNECTIONS = 4

ENOUGH = 50_000
ALIKE = 0.05


@dataclass(frozen=True)
class Found:
    """Requests a second, the median latency, and the generator's own CPU time for a request, in microseconds."""

    rate: float
    p50_us: float
    client_us: float


Generator = Callable[[float], Found]


def measure(seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Take turns: each server with both generators, one after the other."""
    found: dict[tuple[str, int, str], list[Found]] = {}
    with tempfile.TemporaryDirectory() as folder:
        repository = models.write_tiny(Path(folder))
        models.write(repository, "busy", BUSY, BUSY_CONFIG)
        for _ in range(rounds):
            for peer in ("nginx", "windlass-in-process"):
                with peers.running(peer, repository) as server:
                    for what, count, generators in _pairs(peer, server):
                        for name, generator in generators.items():
                            found.setdefault((what, count, name), []).append(generator(seconds))
    return [_row(*key, measured) for key, measured in found.items()]


def _pairs(peer: str, server: peers.Running) -> Iterator[tuple[str, int, dict[str, Generator]]]:
    """What is measured, over how many connections, and with what."""
    for count in CONNECTIONS:
        yield f"{peer}, HTTP", count, {"windlass": _http(server, count), "wrk": _wrk(server, count)}
    if peer == "nginx":
        return
    for count in CONNECTIONS:
        yield "windlass, gRPC", count, {"windlass": _grpc(server, "tiny", count)}
    busy, count = replace(server, path=BUSY_PATH), BUSY_CONNECTIONS
    yield "a busy model, HTTP", count, {"windlass": _http(busy, count), "wrk": _wrk(busy, count)}
    perf = {"windlass": _grpc(server, "busy", count), "perf_analyzer": _perf(server, count)}
    yield "a busy model, gRPC", count, perf


def _http(server: peers.Running, count: int) -> Generator:
    url = f"http://127.0.0.1:{server.http}"
    return lambda seconds: _ours(
        Load(url=url, path=server.path, requests=[models.BODY.encode()], mode=Closed(count), seconds=seconds)
    )


def _grpc(server: peers.Running, model: str, count: int) -> Generator:
    url, message = f"grpc://127.0.0.1:{server.grpc}", _message(model)
    return lambda seconds: _ours(Load(url=url, requests=[message], mode=Closed(count), seconds=seconds))


def _message(model: str) -> bytes:
    from tritonclient.grpc import service_pb2

    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.add(name="INPUT0", datatype="FP32", shape=[1, 16])
    request.raw_input_contents.append((0.1 + 0.37 * np.arange(16, dtype=np.float32)).tobytes())
    return request.SerializeToString()


def _ours(asked: Load) -> Found:
    outcome = measure_load(asked)
    if outcome.failed:
        raise SystemExit(f"error: {asked.url}{asked.path} failed: {dict(outcome.failures)} {dict(outcome.examples)}")
    cpu_us = outcome.cpu_seconds / outcome.requests * 1e6
    return Found(outcome.rate, outcome.latencies.percentile(50), cpu_us)


def _wrk(server: peers.Running, count: int) -> Generator:
    def generate(seconds: float) -> Found:
        before = _children_cpu()
        measured = load.wrk(server, count, seconds)
        spent = _children_cpu() - before
        return Found(measured.rate, measured.p50_us, spent / (measured.rate * max(round(seconds), 1)) * 1e6)

    return generate


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _perf(server: peers.Running, count: int) -> Generator:
    def generate(seconds: float) -> Found:
        measured = load.perf(server, "busy", count, seconds)
        # It is killed in the end, and had other things to do besides asking.
        return Found(measured.rate, measured.p50_us, float("nan"))

    return generate


def _row(what: str, count: int, name: str, measured: list[Found]) -> dict[str, Any]:
    rates = [one.rate for one in measured]
    middle = {key: statistics.median(getattr(one, key) for one in measured) for key in ("rate", "p50_us", "client_us")}
    spread = (max(rates) - min(rates)) / middle["rate"]
    return {"section": "generator", "what": what, "connections": count, "by": name, **middle, "spread": spread}


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goals of the load generator, each with what was found."""
    rates = {(row["what"], row["connections"], row["by"]): row["rate"] for row in rows if row["section"] == "generator"}
    if not rates:
        return []
    most = rates["nginx, HTTP", 64, "windlass"]
    wanted = [("load generator: requests per second on one core", f">= {ENOUGH:,}", most, most >= ENOUGH)]
    for (what, count, by), rate in rates.items():
        if by == "windlass":
            continue
        ratio = rates[what, count, "windlass"] / rate
        if what.startswith("a busy model"):
            text = f"load generator: {what}, {count} connections: rate against {by}'s"
            wanted.append((text, f"within {ALIKE:.0%}", ratio, abs(ratio - 1) <= ALIKE))
        else:
            text = f"load generator: {what}, {count} connections: rate against {by}'s"
            wanted.append((text, f">= {1 - ALIKE:.2f}", ratio, ratio >= 1 - ALIKE))
    return [dict(zip(("goal", "wanted", "found", "reached"), each, strict=True)) for each in wanted]
