"""Serves the demonstration's repository, asks it over both protocols, and measures."""

import importlib.util
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from windlass.client import Client
from windlass.demo import digits
from windlass.errors import UsageError
from windlass.serving.server import Server

CLIENTS = 8
SECONDS = 1.0

Ask = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Session:
    """A running server and the images to ask it about."""

    server: Server
    digits: digits.Digits

    def curl(self) -> str:
        """Return a command that asks about the first held-out image."""
        image = [round(float(value), 4) for value in self.digits.held_out_images[0]]
        url = f"{self.server.url('http')}/predict/digits"
        return f"curl {url} -d '{json.dumps({'image': image})}'"


@contextmanager
def served(*, with_torch: bool, http_port: int, grpc_port: int, tell: Tell) -> Iterator[Session]:
    """Train, write and serve the models until the block ends. Raises ``UsageError`` for what is not installed."""
    torch_there = importlib.util.find_spec("torch") is not None
    with tempfile.TemporaryDirectory(prefix="windlass-demo-") as folder:
        tell("training on scikit-learn's handwritten digits")
        images = digits.load()
        digits.build(Path(folder), images, with_torch=with_torch or torch_there)
        tell("starting the server")
        with Server(folder, http_port=http_port, grpc_port=grpc_port, metrics_port=0, exit_on_error=True) as server:
            yield Session(server, images)


def rounds(session: Session, tell: Tell) -> Iterator[dict[str, Any]]:
    """Ask every model about every held-out image over REST and gRPC; then ask for a second, one image a request."""
    for model in session.server.serving():
        for protocol, open_client in (("REST", _rest), ("gRPC", _grpc)):
            tell(f"asking `{model}` over {protocol}")
            yield _measure(session, model, protocol, open_client)


def _measure(
    session: Session, model: str, protocol: str, open_client: "Callable[[Session, str], Ask]"
) -> dict[str, Any]:
    images, labels = session.digits.held_out_images, session.digits.held_out_labels
    right = 0
    ask = open_client(session, model)
    for start in range(0, len(images), 4):
        right += int((ask(images[start : start + 4]) == labels[start : start + 4]).sum())

    def one_client(number: int) -> list[float]:
        own, until = open_client(session, model), time.perf_counter() + SECONDS
        times: list[float] = []
        while (begun := time.perf_counter()) < until:
            place = (number + len(times)) % len(images)
            own(images[place : place + 1])
            times.append(time.perf_counter() - begun)
        return times

    with ThreadPoolExecutor(CLIENTS) as pool:
        times = [taken for client in pool.map(one_client, range(CLIENTS)) for taken in client]
    with Client(session.server.url("http")) as client:
        backend = client.config(model)["backend"]
    return {
        "model": model,
        "backend": backend,
        "protocol": protocol,
        "images": len(images),
        "accuracy": right / len(images),
        "images_per_second": len(times) / SECONDS,
        "p50_ms": float(np.percentile(times, 50)) * 1e3,
        "p99_ms": float(np.percentile(times, 99)) * 1e3,
    }


def _labels(output: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A model answers with a label, or with one number for each digit."""
    return output[:, 0] if output.shape[1] == 1 else output.argmax(axis=1)


def _rest(session: Session, model: str) -> Ask:
    client = Client(session.server.url("http"))
    return lambda images: _labels(next(iter(client.infer(model, {"image": images}).values())))


def _grpc(session: Session, model: str) -> Ask:
    """Triton's own client: it asks windlass as it asks Triton."""
    try:
        import tritonclient.grpc as triton
    except ImportError:
        raise UsageError("the demo needs `tritonclient[grpc]`", hint="pip install 'windlass[demo]'") from None
    client = triton.InferenceServerClient(session.server.url("grpc"))
    output = client.get_model_metadata(model).outputs[0].name

    def ask(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        image = triton.InferInput("image", list(images.shape), "FP32")
        image.set_data_from_numpy(images)
        answer: np.ndarray[Any, Any] = client.infer(model, [image]).as_numpy(output)
        return _labels(answer)

    return ask
