"""How soon a server is ready, and what a thousand models cost."""

import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from benchmarks import peers


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
    """Start with one model, then with many."""
    code = "import time; t = time.perf_counter(); import onnxruntime, numpy; print(time.perf_counter() - t)"
    framework = float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    one = _start(1)
    rows = [{"section": "start", "models": 1, "framework_s": framework, **one}]
    return [*rows, {"section": "start", "models": many, "framework_s": framework, **_start(many)}]


def _start(count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        for index in range(count):
            write_onnx(Path(folder) / f"tiny{index:04}" / "1")
        begun = time.perf_counter()
        with peers.running("windlass", Path(folder)) as server:
            # The port is open while models load: ready is when the server says so.
            url = f"http://127.0.0.1:{server.http}/v2/health/ready"
            while not _ok(url):
                time.sleep(0.005)
            ready = time.perf_counter() - begun
            memory = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * 4096 / 1e9
            begun = time.perf_counter()
            index = urllib.request.Request(
                f"http://127.0.0.1:{server.http}/v2/repository/index", data=b"", method="POST"
            )
            urllib.request.urlopen(index).read()
            return {"ready_s": ready, "memory_gb": memory, "index_ms": (time.perf_counter() - begun) * 1e3}


def _ok(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goals for start-up."""
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
