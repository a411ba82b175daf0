"""``windlass bench`` from the command line, on real servers, with windows of fractions of a second."""

import json
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from support.models import make_onnx_add_sub, make_onnx_identity
from windlass.cli.bench import bench
from windlass.errors import WindlassError

# One window of a tenth of a second, unless a test wants more.
QUICK = ("--window", "0.1", "--windows", "1", "--warm-up", "0")

FAILS_LATER = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.asked = 0

    def execute(self, requests):
        self.asked += len(requests)
        if self.asked > 1:
            raise RuntimeError("out of ideas")
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", r.inputs()[0].as_numpy())]) for r in requests]
"""


def run(*words: object, code: int = 0) -> str:
    """Run the verb in this process; returns what it prints."""
    told = CliRunner().invoke(bench, [str(word) for word in words])
    if isinstance(told.exception, WindlassError):
        raise told.exception
    assert told.exit_code == code, (told.output, told.exception)
    return told.stdout


def measured(*words: object, code: int = 0) -> dict:
    return json.loads(run(*QUICK, *words, "--json", code=code))


@pytest.fixture
def models(repository):
    make_onnx_add_sub(repository.path / "addsub" / "1" / "model.onnx")
    make_onnx_identity(repository.path / "same" / "1" / "model.onnx")
    return repository


def test_a_model_is_served_and_measured(models, tmp_path):
    file = tmp_path / "report.html"

    text = run("addsub", "-r", models.path, "-c", "1,4", "--report", file, *QUICK)

    header = next(line for line in text.splitlines() if "req/s" in line).split()
    assert header == ["clients", "req/s", "p50", "p90", "p95", "p99", "p99.9", "max", "queue", "compute", "batch",
                      "CPU", "memory", "failed"]  # fmt: skip
    assert re.search(r"^ *1 +[\d,.]+ ", text, re.M) and re.search(r"^ *4 +[\d,.]+ ", text, re.M)
    assert "addsub: " in text and "did not settle in 1 window; the figures are those of all of them" in text
    page = file.read_text()
    assert f"windlass bench addsub -r {models.path} -c 1,4" in page and "Latency by percentile" in page


@pytest.mark.parametrize("protocol", ["rest", "json", "grpc"])
def test_all_protocols_are_measured_on_a_server_that_runs(models, serve, protocol):
    server = serve()
    doors = (server.url("http"), f"grpc://{server.url('grpc')}")

    told = measured(*doors, "addsub", "-c", "2", "--protocol", protocol)

    (point,) = told["points"]
    assert point["requests"] > 0 and not point["failures"] and point["rate"] > 0
    assert point["latency_us"]["p50"] <= point["latency_us"]["p99.9"] <= point["latency_us"]["max"]
    side = point["models"][0]["server"]
    assert side["batch"] >= 1 and side["compute_us"] > 0
    assert side["queue_us"] + side["compute_us"] <= side["total_us"] * 1.01
    # The server is this very process.
    assert point["server"]["cores"] > 0 and point["server"]["memory_bytes"] > 0
    assert told["address"] == doors[protocol == "grpc"] and not told["own_server"]


def test_without_a_name_the_only_model_is_asked_and_a_grpc_address_means_grpc(repository, serve):
    make_onnx_identity(repository.path / "same" / "1" / "model.onnx")
    server = serve()

    told = measured(server.url("http"), f"grpc://{server.url('grpc')}", "-c", "1", "--protocol", "rest")

    assert list(told["inputs"]) == ["same"] and told["protocol"] == "rest"


def test_an_open_loop_asks_as_often_as_it_is_told(models, serve):
    told = measured(serve().url("http"), "addsub", "--rate", "20", "--constant", "--window", "0.5")

    (point,) = told["points"]
    # Ten are due in half a second, whenever they are answered.
    assert point["rate"] > 0 and point["requests"] + point["unsent"] == 10
    assert point["delay_us"] is not None


def test_a_ramp_finds_a_knee_within_its_bounds(models, serve):
    told = measured(serve().url("http"), "addsub", "--ramp", "-c", "1:4", "--latency-p99", "1h")

    assert [point["concurrency"] for point in told["points"]] == [1, 2, 4]
    # Where more clients bring less it is the load that brought the most.
    rates = {point["concurrency"]: point["rate"] for point in told["points"]}
    best = told["best"]["concurrency"]
    assert rates[best] >= 0.95 * max(rates.values()) and told["limit_p99_us"] == 3600e6


def test_a_limit_that_nothing_keeps_is_bad(models, serve):
    told = measured(serve().url("http"), "addsub", "-c", "1", "--latency-p99", "1us", code=1)

    assert told["best"] is None


def test_several_models_share_the_load(models):
    told = measured("--model", "addsub=3,same=1", "-r", models.path, "-c", "8")

    (point,) = told["points"]
    assert [part["model"] for part in point["models"]] == ["addsub", "same"]
    assert sum(part["requests"] for part in point["models"]) == point["requests"]


def test_a_version_that_is_not_served_is_measured_and_nothing_changes(models):
    make_onnx_identity(models.path / "addsub" / "2" / "model.onnx")
    before = sorted(path.relative_to(models.path) for path in models.path.rglob("*"))

    told = measured("addsub:1", models.path / "same", "-r", models.path, "-c", "2")

    assert list(told["inputs"]) == ["addsub:1", "same"] and not told["points"][0]["failures"]
    assert sorted(path.relative_to(models.path) for path in models.path.rglob("*")) == before


@pytest.mark.parametrize("name", ["addsub", "addsub:1"])
def test_inputs_of_ones_own_are_asked_in_batches(models, tmp_path, name):
    data = tmp_path / "data.npz"
    np.savez(data, INPUT0=np.zeros((3, 16), np.float32), INPUT1=np.ones((3, 16), np.float32))

    told = measured(name, "-r", models.path, "--data", f"{name}={data}", "-b", "2", "-c", "1")

    assert str(data) in told["inputs"][name] and told["batch"] == 2
    assert told["points"][0]["models"][0]["server"]["batch"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-c", "0"], "expected whole numbers over 0"),
        (["-c", "1", "--rate", "5"], "both given"),
        (["-b", "99"], "takes 4 at most"),
        (["--window", "10ms"], "100ms or more"),
        (["--data", "nowhere.npy"], "`nowhere.npy` is not there"),
        (["--open-size", "x=0"], "N over 0"),
        (["--report", "no/such/folder/x.html"], "is no folder"),
        (["other"], "no model `other`"),
        (["same:7"], "no version `7`"),
        (["--model", "same=1", "-c", "1"], "less than the number of models"),
    ],
)
def test_nonsense_is_refused(models, words, message):
    with pytest.raises(WindlassError, match=message):
        run("addsub", "-r", models.path, *words)


@pytest.mark.parametrize(
    ("words", "message", "found"),
    [
        (["other"], "no model `other`", "addsub, same"),
        (["addsub:9"], "`addsub:9` is not ready", "version 1 READY"),
        ([], "has 2 models", "addsub, same"),
    ],
)
def test_a_running_server_is_asked_for_what_it_has(models, serve, words, message, found):
    with pytest.raises(WindlassError, match=message) as raised:
        run(serve().url("http"), *words)

    assert raised.value.found == found


def test_a_server_that_is_not_there_is_no_measurement(unused_tcp_port):
    with pytest.raises(WindlassError, match="no answer from"):
        run(f"http://127.0.0.1:{unused_tcp_port}", "addsub")


def test_a_model_that_does_not_answer_is_not_measured(models, serve):
    models.add("broken", FAILS_LATER.replace("> 1", "> 0"), CONFIG)

    with pytest.raises(WindlassError, match="answers the first request with 500: .*out of ideas"):
        run(serve().url("http"), "broken")


CONFIG = """
backend: "python" max_batch_size: 4
input { name: "INPUT0" data_type: TYPE_FP32 dims: 1 } output { name: "OUTPUT0" data_type: TYPE_FP32 dims: 1 }
"""


def test_answers_that_are_all_failures_are_bad(repository, serve):
    repository.add("tired", FAILS_LATER, CONFIG)

    told = measured(serve().url("http"), "tired", "-c", "1", code=1)

    (point,) = told["points"]
    assert point["requests"] == 0 and sum(point["failures"].values()) > 0
    assert "out of ideas" in "".join(told["notes"]) and told["best"] is None


class Begun:
    """The verb in a process of its own, whose progress is read."""

    def __init__(self, *words: object) -> None:
        command = [Path(sys.executable).with_name("windlass"), "bench", *map(str, words)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.told = ""

    def wait_for(self, text: str) -> None:
        """Read progress until it says that."""
        assert self.process.stderr is not None
        while text not in self.told:
            line = self.process.stderr.readline()
            assert line, self.told
            self.told += line

    def end(self) -> tuple[str, str, int]:
        printed, said = self.process.communicate(timeout=60)
        return printed, self.told + said, self.process.returncode


def below(pid: int) -> list[int]:
    """Processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_ctrl_c_tells_what_was_measured_and_leaves_no_server_behind(models):
    begun = Begun("addsub", "-r", models.path, "-c", "1,2", *QUICK[:2], "--windows", "5", "--stability", "1e-9")
    begun.wait_for("concurrency 1: ")
    (server,) = below(begun.process.pid)
    watched = os.pidfd_open(server)

    begun.process.send_signal(signal.SIGINT)
    printed, said, code = begun.end()

    assert code == 2 and "interrupted" in said
    assert "addsub: " in printed and "at concurrency" in printed
    # Readable when it has ended.
    assert select.select([watched], [], [], 0)[0]
    os.close(watched)


def test_a_server_that_dies_midway_is_told_with_what_was_measured(models):
    begun = Begun("addsub", "-r", models.path, "-c", "1,2", *QUICK[:2], "--windows", "5", "--stability", "1e-9")
    begun.wait_for("concurrency 1: ")
    (server,) = below(begun.process.pid)

    os.kill(server, signal.SIGKILL)
    printed, said, code = begun.end()

    assert code == 1
    assert "error: the server stopped answering at concurrency 2" in said
    assert "addsub: " in printed and "concurrency 1" in printed
