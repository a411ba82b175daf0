"""How servers, their models' processes, and what those have started, end: nothing hangs, and nothing is left behind."""

import contextlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from windlass import Client, ClientError

HEAD = """
import os
import subprocess
import threading
import time
from pathlib import Path

import triton_python_backend_utils as pb_utils

HERE = Path(__file__).parent


def forever():
    (HERE / "began").touch()
    while True:
        time.sleep(1)


class TritonPythonModel:
"""
EXECUTE = """
    def execute(self, requests):
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", r.inputs()[0].as_numpy())]) for r in requests]
"""
MODELS = {
    "finalize": EXECUTE + "\n    def finalize(self):\n        forever()\n",
    "execute": "    def execute(self, requests):\n        forever()\n",
    "threads": "    def initialize(self, args):\n        threading.Thread(target=forever).start()\n" + EXECUTE,
    "processes": (
        "    def initialize(self, args):\n        subprocess.Popen(['sleep', '600'])\n"
        "        if os.fork() == 0:\n            forever()\n" + EXECUTE
    ),
    "restart": (
        "    def initialize(self, args):\n        if (HERE / 'crashed').exists():\n            forever()\n\n"
        "    def execute(self, requests):\n        (HERE / 'crashed').touch()\n        os._exit(1)\n"
    ),
}
CONFIG = (
    'backend: "python" instance_group { kind: KIND_CPU } input { name: "x" data_type: TYPE_FP32 dims: 1 } '
    'output { name: "y" data_type: TYPE_FP32 dims: 1 }'
)
ASKED = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}
SERVE = [sys.executable, "-m", "windlass", "serve"]
OPTIONS = ["--http-port=0", "--grpc-port=0", "--metrics-port=0", "--exit-timeout-secs=2"]


def descendants(pid: int) -> set[int]:
    """Return what a process has started, and what that has started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_gone(pids: set[int], within_s: float) -> bool:
    until = time.monotonic() + within_s
    while any(map(runs, pids)):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@contextlib.contextmanager
def served(repository, model: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    repository.add(model, HEAD + MODELS[model], CONFIG)
    process = subprocess.Popen([*SERVE, repository.path, *OPTIONS], stderr=subprocess.PIPE, text=True)
    line = next(line for line in process.stderr if "serving" in line)
    reading = threading.Thread(target=process.stderr.read)
    reading.start()
    try:
        yield process, re.search(r"http://127\.0\.0\.1:\d+", line)[0]
    finally:
        process.kill()
        process.wait()
        reading.join()
        process.stderr.close()


def asked(repository, model: str, url: str) -> None:
    """Ask the model; what is to hang hangs when this returns."""

    def ask() -> None:
        with contextlib.suppress(httpx.HTTPError):
            httpx.post(f"{url}/v2/models/{model}/infer", json=ASKED, timeout=30)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    if model in ("execute", "restart"):
        began = repository.path / model / "1" / "began"
        while not began.exists():
            time.sleep(0.01)
    else:
        thread.join()


@pytest.mark.parametrize("model", MODELS)
def test_a_server_that_is_told_to_end_does_so_in_time_and_takes_all_with_it(repository, model):
    with served(repository, model) as (server, url):
        asked(repository, model, url)
        started = descendants(server.pid)

        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        code = server.wait(20)

        assert started
        assert code == 0
        assert time.monotonic() - began < 2 + 3  # the time to exit, and what a loaded machine takes
        assert not any(map(runs, started))


@pytest.mark.parametrize("model", ["execute", "processes"])
@pytest.mark.parametrize("signals", [[signal.SIGKILL], [signal.SIGINT, signal.SIGINT]], ids=["killed", "twice"])
def test_nothing_outlives_a_server_that_ends_at_once(repository, model, signals):
    with served(repository, model) as (server, url):
        asked(repository, model, url)
        started = descendants(server.pid)

        for number in signals:
            server.send_signal(number)
        server.wait(20)

        assert started
        assert all_gone(started, within_s=5)


CRASHES = """
import os
import time
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        if os.fork() == 0:
            time.sleep(600)

    def execute(self, requests):
        os._exit(3)
"""


def test_a_crash_is_noticed_though_a_fork_of_the_model_lives_on(repository, serve):
    repository.add("frail", CRASHES, CONFIG)

    with Client(serve().url(), timeout_s=20) as client:
        for _ in range(2):
            with pytest.raises(ClientError, match="Stub process is not healthy."):
                client.infer("frail", {"x": np.zeros(1, np.float32)})


def test_a_crash_while_loading_is_noticed_though_a_fork_of_the_model_lives_on(repository, serve):
    repository.add("frail", CRASHES.replace("time.sleep(600)", "time.sleep(600)\n        os._exit(3)"), CONFIG)

    (entry,) = serve().index()

    assert "ended while its model was loaded: it exited with 3" in entry["reason"]
