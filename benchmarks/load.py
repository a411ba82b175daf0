"""Load on a running server, and what it costs: wrk, perf_analyzer, CPU seconds of the process tree."""

import json
import math
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from benchmarks.models import BODY
from benchmarks.peers import Running, perf_analyzer


@dataclass(frozen=True)
class Measured:
    """Requests a second, latencies in microseconds, and CPU seconds of the server per 100,000 requests."""

    rate: float
    p50_us: float
    p99_us: float
    cpu_s: float


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process and all below it."""
    ticks = os.sysconf("SC_CLK_TCK")
    children: dict[int, list[int]] = {}
    times: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        process = int(stat.parent.name)
        children.setdefault(int(fields[1]), []).append(process)
        times[process] = int(fields[11]) + int(fields[12])
    total, rest = 0, [pid]
    while rest:
        process = rest.pop()
        total += times.get(process, 0)
        rest += children.get(process, [])
    return total / ticks


def check(server: Running) -> None:
    """Ask and look at the answer: a server that is quick to answer nonsense does not count.

    Some listen before they serve, so an error counts only when it stays.
    """
    request = urllib.request.Request(f"http://127.0.0.1:{server.http}{server.path}", data=BODY.encode(), method="POST")
    request.add_header("Content-Type", "application/json")
    until = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(request) as response:
                found = response.read()
            break
        except urllib.error.URLError as error:
            if time.monotonic() > until:
                raise SystemExit(f"error: port {server.http} does not answer the tiny request: {error}") from None
            time.sleep(0.2)
    if found == b"constant":
        return
    answer = json.loads(found)
    data = (answer if isinstance(answer, list) else answer["outputs"])[0]["data"]
    flat = [value for row in data for value in (row if isinstance(row, list) else [row])]
    expected = [0.1 + 0.37 * i for i in range(16)]
    if len(flat) != 16 or any(abs(a - b) > 1e-3 for a, b in zip(flat, expected, strict=True)):
        raise SystemExit(f"error: port {server.http} answered {found[:200]!r}")


def wrk(server: Running, connections: int, seconds: float, body: str = BODY) -> Measured:
    """Post a request, the tiny one if no other is given, over so many connections, from one thread."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f"wrk.method='POST'\nwrk.headers['Content-Type']='application/json'\nwrk.body='{body}'\n")
        script.flush()
        url = f"http://127.0.0.1:{server.http}{server.path}"
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{max(round(seconds), 1)}s",
            "--latency",
            "-s",
            script.name,
            url,
        ]
        before = cpu_seconds(server.pid)
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        spent = cpu_seconds(server.pid) - before
    if "Non-2xx" in out:
        raise SystemExit(f"error: wrk got errors:\n{out}")
    requests = int(re.search(r"(\d+) requests in", out)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
    return Measured(rate, _latency(out, "50%"), _latency(out, "99%"), spent / requests * 1e5)


def _latency(out: str, name: str) -> float:
    found = re.search(rf"{name}\s+([\d.]+)(us|ms|s)", out)
    return float(found[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[found[2]]


def perf(server: Running, model: str, concurrency: int, seconds: float) -> Measured:
    """Load the server over gRPC with Triton's own load generator, and read the rate off the server's statistics.

    perf_analyzer's own report is not used: at concurrency 64 against a quick server it measures for ever. Both servers
    count in the same way, so both are read in the same way; latencies are not told.
    """
    binary, environment = perf_analyzer()
    command = [str(binary), "-m", model, "-i", "grpc", "-u", f"127.0.0.1:{server.grpc}", "-b", "1"]
    command += ["--concurrency-range", str(concurrency), "-p", "60000"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    ) as generator:
        time.sleep(1.5)
        begun, cpu, count = time.perf_counter(), cpu_seconds(server.pid), _success(server, model)
        time.sleep(seconds)
        took, spent = time.perf_counter() - begun, cpu_seconds(server.pid) - cpu
        count = _success(server, model) - count
        generator.kill()
    if not count:
        raise SystemExit(f"error: perf_analyzer got no answer from {model} on port {server.grpc}")
    return Measured(count / took, math.nan, math.nan, spent / count * 1e5)


def _success(server: Running, model: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http}/v2/models/{model}/stats") as response:
        return int(json.load(response)["model_stats"][0]["inference_stats"]["success"]["count"])
