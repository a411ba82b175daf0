"""A large tensor: 602 KB over binary HTTP into a model that returns one number, against a bare loopback loop."""

import contextlib
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers, sockets

MODEL = """import numpy as np

import windlass
from windlass import Tensor


@windlass.model
def first(image: Tensor["FP32", 3, 224, 224]) -> {"value": Tensor["FP32", 1]}:
    return {"value": image[0, 0, :1].copy()}
"""

SHAPE = (3, 224, 224)
LOOP = "loopback loop"


def measure(seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Take turns: the loop, then windlass with the model in a process of its own, and in the server's."""
    image = np.random.default_rng(7).random(SHAPE, dtype=np.float32)
    request = sockets.binary_request("/v2/models/image/infer", {"image": image}, {"image": "FP32"})
    loops: list[float] = []
    served: dict[str, list[float]] = {"windlass": [], "windlass-in-process": []}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        version = Path(folder) / "image" / "1"
        version.mkdir(parents=True)
        (version / "model.py").write_text(MODEL)
        servers = {name: stack.enter_context(peers.running(name, Path(folder))) for name in served}
        for _ in range(rounds):
            loops.append(sockets.loopback(image.nbytes, seconds) * image.nbytes / 1e9)
            for name, server in servers.items():
                served[name].append(sockets.hammer(server.http, request, 1, seconds).rate * image.nbytes / 1e9)
    return [
        {"section": "image", "server": name, "gb_per_s": statistics.median(rates), "spread": max(rates) - min(rates)}
        for name, rates in {LOOP: loops, **served}.items()
    ]


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goals for large tensors."""
    by = {row["server"]: row["gb_per_s"] for row in rows if row["section"] == "image"}
    found = {name: rate / by[LOOP] for name, rate in by.items() if name != LOOP}
    return [
        {
            "goal": f"602 KB tensor, {name}: bytes per second against a bare loopback loop",
            "wanted": ">= 0.60",
            "found": ratio,
            "reached": ratio >= 0.6,
        }
        for name, ratio in found.items()
    ]
