"""Responses of a decoupled model over one gRPC stream, with three clients.

h2load does not look into what it receives and keeps up with any server, but it wakes up for every response that comes
alone. Triton's own client in Python is busy with the response before, and takes no more than its interpreter can: three
of its threads pass every response on, and where there is more than one core they fight for the interpreter lock, the
more the faster responses come. So it is measured on one core as well. ``python -m benchmarks.streams PORT`` is that
client.
"""

import os
import queue
import re
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import models, peers

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

CONFIG = """backend: "python"
input { name: "COUNT" data_type: TYPE_INT32 dims: 1 }
output { name: "VALUE" data_type: TYPE_INT32 dims: 1 }
model_transaction_policy { decoupled: true }
instance_group { kind: KIND_CPU }
"""

RESPONSES = 20_000
CLIENTS = ("h2load", "tritonclient", "tritonclient on one core")


def measure(rounds: int) -> list[dict[str, Any]]:
    """Take turns: every server with all clients. ``client_us`` is the client's own CPU time for a response."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "models"
        models.write(repository, "stream", STREAM, CONFIG)
        question = Path(folder) / "question"
        question.write_bytes(_question())
        for _ in range(rounds):
            for peer in ("windlass", "windlass-in-process", "triton"):
                with peers.running(peer, repository) as server:
                    for name in CLIENTS:
                        found.setdefault((peer, name), []).append(_listen(name, server.grpc, question))
    return [
        {
            "section": "features",
            "what": f"stream of {peer}, {name}",
            "rate": statistics.median(rate for rate, _ in measured),
            "client_us": statistics.median(spent for _, spent in measured),
        }
        for (peer, name), measured in found.items()
    ]


def _listen(client: str, port: int, question: Path) -> tuple[float, float]:
    """Return responses a second, and microseconds of the client's CPU time for one; the first time warms up."""
    if client == "h2load":
        return [_timed(lambda: _h2load(port, question)) for _ in range(2)][-1]
    # In a process of its own: its library keeps threads, which stay where they are.
    command = [sys.executable, "-m", "benchmarks.streams", str(port), client]
    rate, spent = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(rate), float(spent)


def _timed(listen: Callable[[], None]) -> tuple[float, float]:
    spent, begun = _cpu_seconds(), time.perf_counter()
    listen()
    took = time.perf_counter() - begun
    return RESPONSES / took, (_cpu_seconds() - spent) / RESPONSES * 1e6


def _cpu_seconds() -> float:
    """User and system time of this process, and of the programs that it has run."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _question() -> bytes:
    """What is sent over the stream: one request, behind its length."""
    from tritonclient.grpc import service_pb2

    request = service_pb2.ModelInferRequest(model_name="stream")
    request.inputs.add(name="COUNT", datatype="INT32", shape=[1])
    request.raw_input_contents.append(np.array([RESPONSES], np.int32).tobytes())
    message = request.SerializeToString()
    return struct.pack(">BI", 0, len(message)) + message


def _h2load(port: int, question: Path) -> None:
    """Ask for many responses."""
    url = f"http://127.0.0.1:{port}/inference.GRPCInferenceService/ModelStreamInfer"
    command = ["h2load", "-n1", "-c1", "-m1", "-d", str(question)]
    command += ["-H", "content-type: application/grpc", "-H", "te: trailers", url]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    received = re.search(r"\((\d+)\) data$", out, re.MULTILINE)
    if not received or int(received[1]) < 30 * RESPONSES:
        raise SystemExit(f"error: the stream of port {port} ended early:\n{out}")


def _tritonclient(port: int) -> None:
    """Ask for many responses, and look at each."""
    from tritonclient import grpc

    count = grpc.InferInput("COUNT", [1], "INT32")
    count.set_data_from_numpy(np.array([RESPONSES], np.int32))
    arrived: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with grpc.InferenceServerClient(f"127.0.0.1:{port}") as client:
        client.start_stream(lambda result, error: arrived.put((result, error)))
        client.async_stream_infer("stream", [count])
        for index in range(RESPONSES):
            result, error = arrived.get(timeout=60)
            if error or result.as_numpy("VALUE")[0] != index:
                raise SystemExit(f"error: response {index} of port {port} is {error or result.as_numpy('VALUE')}")
        client.stop_stream()


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goal for streams: each server with the client that serves it best."""
    by = {row["what"]: row["rate"] for row in rows if row.get("what", "").startswith("stream of ")}
    if not by:
        return []
    best = {peer: max(by[f"stream of {peer}, {name}"] for name in CLIENTS) for peer in ("windlass", "triton")}
    found = best["windlass"] / best["triton"]
    return [
        {
            "goal": "one gRPC stream: responses per second against Triton, each with the client that suits it best",
            "wanted": ">= 3",
            "found": found,
            "reached": found >= 3,
        }
    ]


def main() -> None:
    """Ask as the client in Python that the arguments name, and tell what came of it."""
    port, client = int(sys.argv[1]), sys.argv[2]
    if client == "tritonclient on one core":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rate, spent = [_timed(lambda: _tritonclient(port)) for _ in range(2)][-1]
    sys.stdout.write(f"{rate} {spent}\n")


if __name__ == "__main__":
    main()
