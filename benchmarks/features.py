"""What the features cost: processes of models, ensembles, the cache, traces, streams, shared memory."""

import re
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import load, models, peers

STREAM = """import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            count = int(pb_utils.get_input_tensor_by_name(request, "COUNT").as_numpy()[0])
            for index in range(count):
                value = pb_utils.Tensor("VALUE", np.array([index], np.int32))
                sender.send(pb_utils.InferenceResponse([value]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        return None
"""

STREAM_CONFIG = """backend: "python"
input { name: "COUNT" data_type: TYPE_INT32 dims: 1 }
output { name: "VALUE" data_type: TYPE_INT32 dims: 1 }
model_transaction_policy { decoupled: true }
instance_group { kind: KIND_CPU }
"""

IN_PROCESS = 'parameters { key: "isolated" value { string_value: "false" } }\n'

ENSEMBLE = (
    """platform: "ensemble"
max_batch_size: 64
input { name: "INPUT0" data_type: TYPE_FP32 dims: 16 }
output { name: "OUTPUT0" data_type: TYPE_FP32 dims: 16 }
ensemble_scheduling {
"""
    + "".join(
        f'step {{ model_name: "{name}" model_version: -1 input_map {{ key: "INPUT0" value: "{given}" }} '
        f'output_map {{ key: "OUTPUT0" value: "{made}" }} }}\n'
        for name, given, made in (("first", "INPUT0", "a"), ("second", "a", "b"), ("third", "b", "OUTPUT0"))
    )
    + "}\n"
)

PATH = "/v2/models/{}/infer"
# What is measured with which options of the server, and the model that is asked for it.
SERVED: dict[tuple[str, ...], dict[str, str]] = {
    ("--cache-config=local,size=16777216",): {
        "isolated": "isolated",
        "one": "one",
        "ensemble": "ensemble",
        "cached": "cached",
    },
    ("--trace-config=level=TIMESTAMPS", "--trace-config=rate=1000000000", "--trace-config=triton,file=/dev/null"): {
        "one, traces on, none followed": "one"
    },
}
RESPONSES = 20_000


def measure(seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Measure every feature against what it is compared with, in turns."""
    return [*_requests(seconds, rounds), *_streams(rounds), *_shared_memory(seconds, rounds)]


def _requests(seconds: float, rounds: int) -> list[dict[str, Any]]:
    """The tiny model in its own process, in the server's, an ensemble, out of the cache, beside traces."""
    found: dict[tuple[str, int], list[load.Measured]] = {}
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        config = models.TINY_CONFIG
        _write(repository, "isolated", models.TINY, config)
        for name in ("one", "first", "second", "third"):
            _write(repository, name, models.TINY, config + IN_PROCESS)
        _write(repository, "cached", models.TINY, config + "response_cache { enable: true }\n")
        _write(repository, "ensemble", "", ENSEMBLE)
        for _ in range(rounds):
            for server_options, served in SERVED.items():
                with peers.running("windlass", repository, *server_options) as server:
                    for what, name in served.items():
                        target = peers.Running(server.pid, server.http, server.grpc, PATH.format(name))
                        load.check(target)
                        load.wrk(target, 16, 1)
                        for count in (1, 64):
                            found.setdefault((what, count), []).append(load.wrk(target, count, seconds))
    return [
        {
            "section": "features",
            "what": name,
            "connections": count,
            **{key: statistics.median(getattr(one, key) for one in times) for key in ("rate", "p50_us", "cpu_s")},
        }
        for (name, count), times in found.items()
    ]


def _write(repository: Path, name: str, source: str, config: str) -> None:
    version = repository / name / "1"
    version.mkdir(parents=True)
    if source:
        (version / "model.py").write_text(source)
    (repository / name / "config.pbtxt").write_text(config)


def _streams(rounds: int) -> list[dict[str, Any]]:
    """Responses a second of a decoupled model over one gRPC stream.

    The client is h2load, which does not look into them: one in Python takes fewer than either server gives.
    """
    rates: dict[str, list[float]] = {"windlass": [], "windlass-in-process": [], "triton": []}
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "models"
        _write(repository, "stream", STREAM, STREAM_CONFIG)
        question = Path(folder) / "question"
        question.write_bytes(_question())
        for _ in range(rounds):
            for peer, measured in rates.items():
                with peers.running(peer, repository) as server:
                    # The first time warms up.
                    measured.append([_listen(server.grpc, question) for _ in range(2)][-1])
    return [
        {"section": "features", "what": f"stream of {peer}", "rate": statistics.median(measured)}
        for peer, measured in rates.items()
    ]


def _question() -> bytes:
    """What is sent over the stream: one request, behind its length."""
    from tritonclient.grpc import service_pb2

    request = service_pb2.ModelInferRequest(model_name="stream")
    request.inputs.add(name="COUNT", datatype="INT32", shape=[1])
    request.raw_input_contents.append(np.array([RESPONSES], np.int32).tobytes())
    message = request.SerializeToString()
    return struct.pack(">BI", 0, len(message)) + message


def _listen(port: int, question: Path) -> float:
    """Ask for many responses; returns how many came in a second."""
    url = f"http://127.0.0.1:{port}/inference.GRPCInferenceService/ModelStreamInfer"
    command = ["h2load", "-n1", "-c1", "-m1", "-d", str(question)]
    command += ["-H", "content-type: application/grpc", "-H", "te: trailers", url]
    begun = time.perf_counter()
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    took = time.perf_counter() - begun
    received = re.search(r"\((\d+)\) data$", out, re.MULTILINE)
    if not received or int(received[1]) < 30 * RESPONSES:
        raise SystemExit(f"error: the stream of port {port} ended early:\n{out}")
    return RESPONSES / took


def _shared_memory(seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Round trips with a 602 KB tensor that lies in shared memory, at one connection."""
    from tritonclient import http
    from tritonclient.utils import shared_memory

    from benchmarks.image import MODEL, SHAPE

    image = np.random.default_rng(7).random(SHAPE, dtype=np.float32)
    body = (
        '{"inputs":[{"name":"image","shape":[3,224,224],"datatype":"FP32","parameters":'
        f'{{"shared_memory_region":"image","shared_memory_byte_size":{image.nbytes}}}}}]}}'
    )
    rows = []
    for name, config in (("isolated", ""), ("in process", f'backend: "python"\n{IN_PROCESS}')):
        times = []
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), "image", MODEL, config)
            with peers.running("windlass", Path(folder), "--allow-client-shm=true") as server:
                region = shared_memory.create_shared_memory_region("image", "/windlass_benchmark", image.nbytes)
                try:
                    shared_memory.set_shared_memory_region(region, [image])
                    client = http.InferenceServerClient(f"127.0.0.1:{server.http}")
                    client.register_system_shared_memory("image", "/windlass_benchmark", image.nbytes)
                    for _ in range(rounds):
                        target = peers.Running(server.pid, server.http, server.grpc, PATH.format("image"))
                        times.append(load.wrk(target, 1, seconds, body).p50_us)
                finally:
                    shared_memory.destroy_shared_memory_region(region)
        what = f"602 KB through shared memory, {name}"
        rows.append({"section": "features", "what": what, "connections": 1, "p50_us": statistics.median(times)})
    return rows


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goals for the features."""
    by = {(row["what"], row.get("connections")): row for row in rows if row["section"] == "features"}
    if not by:
        return []

    def of(what: str, connections: int | None, key: str) -> float:
        return float(by[(what, connections)][key])

    checks = [
        ("a process of its own: microseconds of p50, 1 connection", "<=", 60.0,
         of("isolated", 1, "p50_us") - of("one", 1, "p50_us")),
        ("an ensemble of three against one: p50, 1 connection", "<=", 1.5,
         of("ensemble", 1, "p50_us") / of("one", 1, "p50_us")),
        ("an ensemble of three against one: CPU per request, 64 connections", "<=", 1.5,
         of("ensemble", 64, "cpu_s") / of("one", 64, "cpu_s")),
        ("a cache hit against a bare request: p50, 1 connection", "<=", 1.0,
         of("cached", 1, "p50_us") / of("one", 1, "p50_us")),
        ("traces on, none followed, against off: CPU per request, 64 connections", "<=", 1.03,
         of("one, traces on, none followed", 64, "cpu_s") / of("one", 64, "cpu_s")),
        ("one gRPC stream: responses per second against Triton", ">=", 3.0,
         of("stream of windlass", None, "rate") / of("stream of triton", None, "rate")),
        ("602 KB through shared memory, in process: microseconds of a round trip", "<=", 100.0,
         of("602 KB through shared memory, in process", 1, "p50_us")),
        ("602 KB through shared memory, isolated: microseconds of a round trip", "<=", 100.0,
         of("602 KB through shared memory, isolated", 1, "p50_us")),
    ]  # fmt: skip
    return [
        {
            "goal": text,
            "wanted": f"{sign} {limit:g}",
            "found": found,
            "reached": found >= limit if sign == ">=" else found <= limit,
        }
        for text, sign, limit, found in checks
    ]
