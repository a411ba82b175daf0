"""A large tensor: 602 KB over binary HTTP into a model that returns one number, against a bare loopback loop."""

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


def measure(seconds: float, rounds: int) -> list[dict[str, Any]]:
    """Take turns: the loop, then windlass."""
    image = np.random.default_rng(7).random(SHAPE, dtype=np.float32)
    request = sockets.binary_request("/v2/models/image/infer", {"image": image}, {"image": "FP32"})
    loops, served = [], []
    with tempfile.TemporaryDirectory() as folder:
        version = Path(folder) / "image" / "1"
        version.mkdir(parents=True)
        (version / "model.py").write_text(MODEL)
        with peers.running("windlass", Path(folder)) as server:
            for _ in range(rounds):
                loops.append(sockets.loopback(image.nbytes, seconds) * image.nbytes / 1e9)
                served.append(sockets.hammer(server.http, request, 1, seconds).rate * image.nbytes / 1e9)
    rows = [("loopback loop", loops), ("windlass", served)]
    return [
        {"section": "image", "server": name, "gb_per_s": statistics.median(rates), "spread": max(rates) - min(rates)}
        for name, rates in rows
    ]


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goal for large tensors."""
    by = {row["server"]: row["gb_per_s"] for row in rows if row["section"] == "image"}
    if len(by) < 2:
        return []
    found = by["windlass"] / by["loopback loop"]
    text = "602 KB tensor: bytes per second against a bare loopback loop"
    return [{"goal": text, "wanted": ">= 0.60", "found": found, "reached": found >= 0.6}]
