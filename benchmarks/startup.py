"""How soon a server is ready, what a thousand models cost, and what compiled models that are kept spare."""

import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from benchmarks import peers, real

LARGE = ("resnet50", "bert")
STARTS = 5


def write_onnx(folder: Path) -> None:
    """Write a tiny model: y = relu(x), of any batch."""
    folder.mkdir(parents=True)
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", floats, ["n", 16])],
        [helper.make_tensor_value_info("y", floats, ["n", 16])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "model.onnx")


def measure(many: int = 1000) -> list[dict[str, Any]]:
    """Start with one model, then with many; then large ones, with and without what was compiled before."""
    code = "import time; t = time.perf_counter(); import onnxruntime, numpy; print(time.perf_counter() - t)"
    framework = float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    one = _start(1)
    rows = [{"section": "start", "models": 1, "framework_s": framework, **one}]
    rows.append({"section": "start", "models": many, "framework_s": framework, **_start(many)})
    return [*rows, *(row for model in LARGE for row in _restarts(model))]


def _start(count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        for index in range(count):
            write_onnx(Path(folder) / f"tiny{index:04}" / "1")
        with _ready(Path(folder)) as (server, ready):
            memory = _memory(server, "VmRSS") / 1e9
            begun = time.perf_counter()
            index = urllib.request.Request(
                f"http://127.0.0.1:{server.http}/v2/repository/index", data=b"", method="POST"
            )
            urllib.request.urlopen(index).read()
            return {"ready_s": ready, "memory_gb": memory, "index_ms": (time.perf_counter() - begun) * 1e3}


def _restarts(model: str) -> list[dict[str, Any]]:
    """An ONNX file on OpenVINO: without a cache, the start that fills one, and those after it; medians of several."""
    with tempfile.TemporaryDirectory() as folder:
        repository, cache = Path(folder) / "models", f"--compiled-cache={folder}/cache"
        real.write(repository, model, "openvino", 8)
        plans = {"nothing kept": ((), STARTS), "the first that keeps": ((cache,), 1), "kept": ((cache,), STARTS)}
        rows = []
        for what, (options, starts) in plans.items():
            found = [_restart(repository, *options) for _ in range(starts)]
            ready, memory = (statistics.median(column) for column in zip(*found, strict=True))
            row = {"model": model, "compiled": what, "ready_s": ready, "own_memory_gb": memory / 1e9}
            rows.append({"section": "restart", **row})
        return rows


def _restart(repository: Path, *options: str) -> tuple[float, float]:
    with _ready(repository, *options) as (server, ready):
        # Without what is mapped from files, which the system may take back and several servers have together.
        return ready, _memory(server, "RssAnon")


@contextmanager
def _ready(repository: Path, *options: str) -> Iterator[tuple[peers.Running, float]]:
    """Start a server; gives it, and the seconds until it was ready."""
    begun = time.perf_counter()
    with peers.running("windlass", repository, *options) as server:
        # The port is open while models load: ready is when the server says so.
        url = f"http://127.0.0.1:{server.http}/v2/health/ready"
        while not _ok(url):
            time.sleep(0.005)
        yield server, time.perf_counter() - begun


def _memory(server: peers.Running, kind: str) -> int:
    """Return bytes of a process, of the kind that the kernel calls so."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition(f"{kind}:")[2].split()[0]) * 1024


def _ok(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goals for start-up."""
    return [*_start_goals(rows), *_restart_goals(rows)]


def _start_goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    by = {row["models"]: row for row in rows if row["section"] == "start"}
    if 1 not in by or 1000 not in by:
        return []
    checks = [
        (
            "one small model: seconds to ready beyond the framework's import",
            by[1]["ready_s"] - by[1]["framework_s"],
            1.0,
        ),
        ("1,000 tiny ONNX models: seconds to ready", by[1000]["ready_s"], 60.0),
        ("1,000 tiny ONNX models: GB of memory", by[1000]["memory_gb"], 2.0),
        ("1,000 tiny ONNX models: milliseconds for the index", by[1000]["index_ms"], 50.0),
    ]
    return [
        {"goal": text, "wanted": f"< {limit:g}", "found": found, "reached": found < limit}
        for text, found, limit in checks
    ]


def _restart_goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    by = {(row["model"], row["compiled"]): row["ready_s"] for row in rows if row["section"] == "restart"}
    found = {model: by[model, "kept"] / by[model, "nothing kept"] for model, compiled in by if compiled == "kept"}
    return [
        {
            "goal": f"{model} on OpenVINO, compiled before: time to ready against compiling",
            "wanted": "< 0.8",
            "found": ratio,
            "reached": ratio < 0.8,
        }
        for model, ratio in found.items()
    ]
