"""A server beside this process: where it is, what it costs, and that none is left behind."""

import os
import select
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.models import make_onnx_identity
from windlass.bench import footprint
from windlass.bench.served import served
from windlass.client import Client
from windlass.errors import ServerError


def test_a_repository_is_served_until_the_block_ends(repository):
    make_onnx_identity(repository.path / "same" / "1" / "model.onnx")
    repository.add_identity("other")

    with served(repository.path, ["other"]) as server, Client(server.http) as client:
        assert [row["name"] for row in client.models()] == ["other"]
        assert client.infer("other", {"INPUT0": np.ones((1, 1), np.float32)})["OUTPUT0"].tolist() == [[1]]
        assert server.cpu_seconds() > 0
        memory = server.memory()
        assert memory is not None and memory.kind in ("PSS", "RSS") and memory.size_bytes > 10 << 20
        # Processes below count: the server is below this one.
        assert footprint.memory((os.getpid(),)).size_bytes > memory.size_bytes
        host, port = server.http.removeprefix("http://").split(":")
        assert footprint.listeners(host, int(port)) == (server.pid,)
        assert footprint.listeners("192.0.2.1", int(port)) == ()
    assert not Path(f"/proc/{server.pid}").exists()
    assert footprint.memory((server.pid,)) is None and footprint.cpu_seconds((server.pid,)) == 0


FACTOR = """
import os

import windlass
from windlass import Tensor


@windlass.model()
def told(x: Tensor["FP32", 1]) -> Tensor["FP32", 1]:
    return x * float(os.environ["FACTOR"])
"""


def test_options_and_the_environment_reach_the_server(repository):
    repository.add("told", FACTOR)

    with (
        served(repository.path, options=["--id", "mine"], environment={"FACTOR": "3"}) as server,
        Client(server.http) as client,
    ):
        assert client.metadata()["name"] == "mine"
        (answer,) = client.infer("told", {"x": np.array([2], np.float32)}).values()
        assert answer.tolist() == [6.0]


@pytest.mark.parametrize(
    ("options", "text"), [((), "failed to load all models: bad"), (("--http-port=-3",), "cannot listen")]
)
def test_what_a_server_said_that_did_not_start_is_told(repository, options, text):
    repository.add("bad", "raise RuntimeError('no weights')")

    with (
        pytest.raises(ServerError, match="ended before it was ready") as raised,
        served(repository.path, options=options),
    ):
        raise AssertionError("it is not ready")

    assert text in raised.value.found


def test_no_server_outlives_who_is_killed(repository):
    make_onnx_identity(repository.path / "same" / "1" / "model.onnx")
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom windlass.bench.served import served\n"
        "with served(Path(sys.argv[1])) as server:\n    print(server.pid, flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, repository.path], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        watched = os.pidfd_open(int(child.stdout.readline()))
        child.kill()

    # Readable when the process has ended.
    assert select.select([watched], [], [], 30)[0]
    os.close(watched)
