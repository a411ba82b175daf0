"""Real servers behind the real nginx, on addresses of loopback that nobody else uses."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.certificates import Authority
from support.gateway import Gateway, laid_out, programs, running, version
from windlass.config.project import read_project
from windlass.release import Release

ECHO = """
import os
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        # Answers with the number that its server was given, as often as it was asked for.
        who = float(os.environ["WHO"])
        tensors = [pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", np.full_like(one, who))]) for one in tensors]
"""
ECHO_CONFIG = """
backend: "python" max_batch_size: 0
input { name: "INPUT0" data_type: TYPE_FP32 dims: [ -1 ] } output { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] }
"""
# Sends one answer, then waits for a file before it sends the second.
STORY = """
import os
import time
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            go_on = pb_utils.get_input_tensor_by_name(request, "GO_ON").as_numpy().ravel()[0].decode()
            sender = request.get_response_sender()
            for text in (b"first", b"second"):
                tensor = pb_utils.Tensor("TEXT", np.array([text], dtype=object))
                sender.send(pb_utils.InferenceResponse([tensor]))
                while text == b"first" and not os.path.exists(go_on):
                    time.sleep(0.005)
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
STORY_CONFIG = """
backend: "python" max_batch_size: 0 model_transaction_policy { decoupled: true }
input { name: "GO_ON" data_type: TYPE_STRING dims: [ 1 ] } output { name: "TEXT" data_type: TYPE_STRING dims: [ 1 ] }
"""


@dataclass
class Server:
    """A `windlass serve` on an address of its own."""

    address: str
    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def repository(folder: Path) -> Path:
    for name, source, config in (("echo", ECHO, ECHO_CONFIG), ("story", STORY, STORY_CONFIG)):
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "1" / "model.py").write_text(source)
        (folder / name / "config.pbtxt").write_text(config)
    return folder


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int, str], Server]]:
    """Start servers of a model that are told apart by a number."""
    models = repository(tmp_path_factory.mktemp("models"))
    started: list[Server] = []

    def one(number: int, model: str) -> Server:
        address = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.{number}"
        command = [str(Path(sys.executable).with_name("windlass")), "serve", str(models), f"--host={address}"]
        log = tmp_path_factory.getbasetemp() / f"server-{number}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [*command, f"--model={model}"], env={**os.environ, "WHO": str(number)}, stdout=sink, stderr=sink
            )
        started.append(Server(address, process))
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://{address}:8000/v2/health/ready", timeout=2)
                return started[-1]
            except (urllib.error.URLError, OSError):
                assert process.poll() is None and time.monotonic() < until, log.read_text()

    yield one
    for server in started:
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
            server.process.wait()


@pytest.fixture(scope="session")
def echo(start) -> Server:
    return start(1, "echo")


@pytest.fixture(scope="session")
def story(start) -> Server:
    return start(2, "story")


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module", params=programs() or [None], ids=lambda program: program and version(program))
def program(request: pytest.FixtureRequest) -> Path:
    if request.param is None:
        pytest.skip("no nginx on this machine")
    return request.param


@pytest.fixture(scope="module")
def gateway(
    program: Path, echo: Server, story: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Gateway]]:
    """Run the gateway of a project, given as text, with secrets, before servers by the names of their services."""
    with ExitStack() as stack:

        def run(text: str, secrets: dict[str, bytes] | None = None, **table: list[str]) -> Gateway:
            file = tmp_path_factory.mktemp("project") / "windlass.yaml"
            services = (
                "services: {images: {models: [echo]}, texts: {models: [story]}}" if "services:" not in text else ""
            )
            secret = "".join(f"  {name}: {{file: secrets/{name}}}\n" for name in secrets or ())
            file.write_text(
                f"name: tried\n{services}\n{text}\n"
                + (f"secrets:\n{secret}" if secret else "")
                + "targets: {here: {kind: compose}}\n"
            )
            project = read_project(file)
            changed = project.gateway.model_copy(update={"image": f"nginx:{version(program)}"})
            release = Release(project.model_copy(update={"gateway": changed}), "here", "0.1.0")
            names = {"images": [echo.address], "texts": [story.address], **table}
            laid = stack.enter_context(laid_out(release, program, secrets or {}, names))
            return stack.enter_context(running(laid))

        yield run
