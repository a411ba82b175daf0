"""Models of real size, served against the engine called in a loop at its best batch size.

Weights are random from a fixed seed: how long a model takes does not depend on them. Both sides use the same engine
through the same backend of windlass, in the same precision, with the same settings of the C library's memory; the only
difference is the server. Every loop has a process of its own, as the server has, with nothing else in it.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers, sockets

ENGINES = ("onnxruntime", "openvino", "pytorch")
BATCHES = (4, 8, 16)


def resnet() -> Any:
    """ResNet-50: the published block counts and widths, written with plain modules."""
    import torch
    from torch import nn

    class Bottleneck(nn.Module):
        def __init__(self, inside: int, width: int, stride: int) -> None:
            super().__init__()
            outside = width * 4
            self.path = nn.Sequential(
                nn.Conv2d(inside, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                nn.Conv2d(width, outside, 1, bias=False), nn.BatchNorm2d(outside),
            )  # fmt: skip
            plain = stride == 1 and inside == outside
            self.side = nn.Identity() if plain else nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )  # fmt: skip

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.path(x) + self.side(x))

    torch.manual_seed(7)
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    inside = 64
    for stage, count in enumerate((3, 4, 6, 3)):
        for block in range(count):
            layers.append(Bottleneck(inside, 64 << stage, 2 if stage and not block else 1))
            inside = 256 << stage
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)]
    return nn.Sequential(*layers).eval()


def bert() -> Any:
    """BERT-base: 12 layers of 768 with 12 heads, over token ids."""
    import torch
    from torch import nn

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(768, 2304), nn.Linear(768, 768)
            self.up, self.down = nn.Linear(768, 3072), nn.Linear(3072, 768)
            self.first, self.second = nn.LayerNorm(768), nn.LayerNorm(768)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = self.qkv(x).view(-1, 128, 3, 12, 64).permute(2, 0, 3, 1, 4)
            mixed = torch.softmax(q @ k.transpose(-1, -2) / 8, -1) @ v
            x = self.first(x + self.out(mixed.transpose(1, 2).reshape(-1, 128, 768)))
            return self.second(x + self.down(torch.nn.functional.gelu(self.up(x))))

    torch.manual_seed(7)
    return nn.Sequential(nn.Embedding(30522, 768), *[Layer() for _ in range(12)]).eval()


def _example(model: str, batch: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    if model == "resnet50":
        return rng.random((batch, 3, 224, 224), dtype=np.float32)
    return rng.integers(0, 30522, (batch, 128), dtype=np.int64)


def write(folder: Path, model: str, engine: str, batch: int) -> None:
    """Write one model for one engine, batched up to the given size."""
    import torch

    module = resnet() if model == "resnet50" else bert()
    example = torch.from_numpy(_example(model, 2))
    version = folder / model / "1"
    version.mkdir(parents=True)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        if engine == "pytorch":
            torch.jit.trace(module, example).save(str(version / "model.pt"))
        else:
            axes = {"input": {0: "n"}, "output": {0: "n"}}
            file = str(version / "model.onnx")
            torch.onnx.export(
                module,
                (example,),
                file,
                input_names=["input"],
                output_names=["output"],
                dynamic_axes=axes,
                dynamo=False,
            )
    if model == "resnet50":
        declared = "TYPE_FP32 dims: [ 3, 224, 224 ]", "TYPE_FP32 dims: 1000"
    else:
        declared = "TYPE_INT64 dims: 128", "TYPE_FP32 dims: [ 128, 768 ]"
    (folder / model / "config.pbtxt").write_text(
        f'backend: "{engine}"\nmax_batch_size: {batch}\n'
        f'input {{ name: "input" data_type: {declared[0]} }}\noutput {{ name: "output" data_type: {declared[1]} }}\n'
        f"dynamic_batching {{ max_queue_delay_microseconds: 20000 }}\n"
    )


def _in_a_loop(folder: Path, model: str, batch: int, seconds: float) -> float:
    """Return samples a second of the engine, called through windlass' backend without a server."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_loop, folder, model, batch, seconds).result()


def _loop(folder: Path, model: str, batch: int, seconds: float) -> float:
    from windlass.backends import LoadContext, find
    from windlass.config import normalise
    from windlass.repository import scan
    from windlass.serving import memory

    memory.keep_freed()
    entry = scan([folder]).models[model]
    opened = find(entry.config.backend).open(LoadContext(model, 1, entry.path, entry.versions[1], entry.config))
    instance = opened.instances(normalise(opened.config, model))[0]
    array = _example(model, batch)
    for _ in range(3):
        instance.execute({"input": array})
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        instance.execute({"input": array})
        count += batch
    rate = count / (time.perf_counter() - begun)
    instance.close()
    return rate


def measure(seconds: float, rounds: int, engines: tuple[str, ...] = ENGINES) -> list[dict[str, Any]]:
    """Find each engine's best batch in a loop, then take turns: the loop, then the server."""
    rows = []
    for model in ("resnet50", "bert"):
        for engine in engines:
            with tempfile.TemporaryDirectory() as folder:
                write(Path(folder), model, engine, max(BATCHES))
                tried = {batch: _in_a_loop(Path(folder), model, batch, seconds / 2) for batch in BATCHES}
            best = max(tried, key=lambda batch: tried[batch])
            with tempfile.TemporaryDirectory() as folder:
                write(Path(folder), model, engine, best)
                rows.append(_compare(Path(folder), model, engine, best, seconds, rounds))
    return rows


def _compare(folder: Path, model: str, engine: str, batch: int, seconds: float, rounds: int) -> dict[str, Any]:
    name = "FP32" if model == "resnet50" else "INT64"
    one = {"input": _example(model, 1)}
    request = sockets.binary_request(f"/v2/models/{model}/infer", one, {"input": name})
    loops, served, shares = [], [], []
    for _ in range(rounds):
        loops.append(_in_a_loop(folder, model, batch, seconds))
        with peers.running("windlass", folder) as server:
            sockets.hammer(server.http, request, 2 * batch, seconds / 4)
            load = sockets.hammer(server.http, request, 2 * batch, seconds)
        served.append(load.rate)
        shares.append(load.cpu_share)
    loop, rate, share = statistics.median(loops), statistics.median(served), statistics.median(shares)
    available = 1 - share / len(os.sched_getaffinity(0))
    return {
        "section": "real",
        "model": model,
        "engine": engine,
        "batch": batch,
        "loop_per_s": loop,
        "served_per_s": rate,
        "ratio": rate / loop,
        "client_share": share,
        "ratio_less_client": rate / loop / available,
    }


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goals for real models."""
    return [
        {
            "goal": f"{row['model']} on {row['engine']}: served against the engine in a loop, less the client's share",
            "wanted": ">= 0.97",
            "found": row["ratio_less_client"],
            "reached": row["ratio_less_client"] >= 0.97,
        }
        for row in rows
        if row["section"] == "real"
    ]
