"""The same verbs on this machine, without containers: started, watched, healed, changed, ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

WINDLASS = str(Path(sys.executable).with_name("windlass"))


def free_ports() -> tuple[int, int, int]:
    """Three ports that nobody listens on, below those that the system gives to clients."""
    for first in range(10000 + os.getpid() % 1000 * 20, 30000, 20):
        with ExitStack() as stack:
            try:
                for port in range(first, first + 3):
                    stack.enter_context(closing(socket.socket())).bind(("127.0.0.1", port))
            except OSError:
                continue
        return first, first + 1, first + 2
    raise AssertionError("no port is free")


class Project:
    """A project in a folder, and the command line over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = free_ports()

    def write(self, services: str = "{models: {}}", target: str = "", rest: str = "") -> None:
        http, grpc, metrics = self.ports
        text = f"name: tried\nservices: {services}\ntargets:\n  here:\n    kind: local\n    http_port: {http}\n"
        text += f"    grpc_port: {grpc}\n    metrics_port: {metrics}\n    {target}\n{rest}\n"
        (self.folder / "windlass.yaml").write_text(text)

    def run(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [WINDLASS, *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=110,
            env={**os.environ, **environment},
            check=False,
        )

    def status(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = json.loads(self.run("status", "--json").stdout)
        return told

    def wait_for(self, what: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        until = time.monotonic() + 30
        while not what(replicas := self.status()):
            assert time.monotonic() < until, replicas
        return replicas


def answers(address: str, path: str = "/v2/health/ready") -> int:
    with urllib.request.urlopen(address + path, timeout=10) as answer:
        return int(answer.status)


@pytest.fixture
def project(repository, tmp_path) -> Iterator[Project]:
    repository.add_identity("echo")
    repository.add_identity("other")
    made = Project(tmp_path)
    made.write()
    yield made
    made.run("down")


def test_up_serves_and_down_leaves_nothing(project):
    up = project.run("up")

    assert up.returncode == 0, up.stderr
    (replica,) = project.status()
    assert (replica["service"], replica["state"], replica["restarts"]) == ("models", "ready", 0)
    assert answers(replica["address"]) == 200
    assert "serving 2 models" in project.run("logs").stdout

    down = project.run("down")
    assert down.returncode == 0
    assert project.status() == []
    with pytest.raises(OSError):
        answers(replica["address"])


def test_a_second_up_changes_nothing(project):
    project.run("up")
    before = project.status()
    dry = project.run("up", "--dry-run")
    again = project.run("up")
    assert dry.stdout == "nothing would change\n"
    assert again.returncode == 0
    assert project.status() == before


def test_a_killed_server_is_started_again_and_says_why(project):
    project.run("up")
    (before,) = project.status()
    (server,) = [int(pid) for pid in children(supervisor(project))]

    os.kill(server, signal.SIGKILL)

    (after,) = project.wait_for(lambda found: found[0]["restarts"] == 1 and found[0]["state"] == "ready")
    assert after["started"] >= before["started"]
    assert answers(after["address"]) == 200


def test_a_killed_supervisor_takes_its_servers_along_and_the_next_up_repairs_it(project):
    project.run("up")
    (replica,) = project.status()

    os.kill(supervisor(project), signal.SIGKILL)

    until = time.monotonic() + 30
    with pytest.raises(OSError):
        while time.monotonic() < until:
            answers(replica["address"])
    assert project.status() == []
    assert project.run("up").returncode == 0
    assert answers(replica["address"]) == 200


def test_an_interrupted_up_is_finished_by_the_next(project):
    interrupted = subprocess.Popen([WINDLASS, "up"], cwd=project.folder, stderr=subprocess.PIPE, text=True)
    assert interrupted.stderr is not None
    while "starting" not in interrupted.stderr.readline():
        pass
    interrupted.send_signal(signal.SIGINT)
    _, said = interrupted.communicate(timeout=30)
    assert interrupted.returncode == 2
    assert "`windlass up` was interrupted" in said and "finishes what was begun" in said

    assert project.run("up").returncode == 0
    assert [replica["state"] for replica in project.status()] == ["ready"]


def test_services_have_servers_of_their_own_where_asked(project):
    services = "{one: {models: [echo]}, two: {models: [other], replicas: 2}}"
    project.write(services, "processes: per-service")

    up = project.run("up")

    assert up.returncode == 0, up.stderr
    one, two, third = sorted(project.status(), key=lambda replica: replica["address"])
    assert [one["name"], two["name"], third["name"]] == ["one-1", "two-1", "two-2"]
    assert answers(one["address"], "/v2/models/echo/ready") == 200
    with pytest.raises(urllib.error.HTTPError):
        answers(one["address"], "/v2/models/other/ready")
    assert answers(third["address"], "/v2/models/other/ready") == 200

    scaled = project.run("scale", "two=1")
    assert scaled.returncode == 0, scaled.stderr
    assert sorted(replica["name"] for replica in project.status()) == ["one-1", "two-1"]
    assert {replica["restarts"] for replica in project.status()} == {0}


def test_a_secret_reaches_the_model_and_no_file(project, repository):
    source = (
        "import os\nimport numpy as np\nimport triton_python_backend_utils as pb_utils\n\n\nclass TritonPythonModel:\n"
        "    def execute(self, requests):\n"
        "        told = np.array([len(os.environ['TOKEN'])], np.int32)\n"
        "        return [pb_utils.InferenceResponse([pb_utils.Tensor('LENGTH', told)]) for _ in requests]\n"
    )
    tensor = (
        'input { name: "ANY" data_type: TYPE_INT32 dims: 1 } output { name: "LENGTH" data_type: TYPE_INT32 dims: 1 }'
    )
    repository.add("telling", source, f'backend: "python" {tensor}')
    project.write("{models: {environment: {TOKEN: {secret: token}}}}", rest="secrets: {token: {environment: MY_TOKEN}}")

    without = project.run("up")
    assert without.returncode == 2
    assert "the secret `token` is not there" in without.stderr
    assert "set `MY_TOKEN`" in without.stderr

    up = project.run("up", MY_TOKEN="s3cret-of-mine")
    assert up.returncode == 0, up.stderr
    body = b'{"inputs":[{"name":"ANY","datatype":"INT32","shape":[1],"data":[1]}]}'
    address = project.status()[0]["address"]
    with urllib.request.urlopen(f"{address}/v2/models/telling/infer", body, timeout=10) as answer:
        assert json.load(answer)["outputs"][0]["data"] == [len("s3cret-of-mine")]
    kept = [path for path in (project.folder / ".windlass").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"s3cret" in path.read_bytes()]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_port_in_use_is_told_before_anything_starts(project, which):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", project.ports[which]))
        taken.listen()
        up = project.run("up")
    assert up.returncode == 2
    assert f"`tried` cannot listen on 127.0.0.1:{project.ports[which]}" in up.stderr
    assert "hint: " in up.stderr
    assert project.run("up").returncode == 0


@pytest.mark.parametrize("on_error", ["true", "false"])
def test_a_server_that_does_not_become_ready_is_told_with_its_reason(project, on_error):
    project.write(f"{{models: {{options: {{exit-on-error: {on_error}}}}}}}")
    (project.folder / "models" / "echo" / "1" / "model.py").write_text("import nothing_of_that_name\n")
    up = project.run("up")
    assert up.returncode == 2
    assert "`tried` does not become ready" in up.stderr
    assert "nothing_of_that_name" in up.stderr
    # What is repaired is served by the next `up`.
    (project.folder / "models" / "echo" / "1" / "model.py").write_text(
        (project.folder / "models" / "other" / "1" / "model.py").read_text()
    )
    assert project.run("up").returncode == 0


def test_verbs_without_anything_running_say_so(project):
    assert project.run("status").stdout == "nothing runs on here\n"
    for verb in ("logs", "restart"):
        done = project.run(verb)
        assert done.returncode == 2
        assert "hint: start it with `windlass up`" in done.stderr
    assert project.run("down").returncode == 0


def supervisor(project: Project) -> int:
    """The process that listens on the project's socket."""
    lock = (project.folder / ".windlass" / "here" / "supervisor.lock").stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5].endswith(f":{lock}"):
            return int(words[4])
    raise AssertionError("no supervisor holds the lock")


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
