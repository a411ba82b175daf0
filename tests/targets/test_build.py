"""What is in an image and what is not, what a build keeps, where it goes: with a real engine and a real registry."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from support.models import make_onnx_add_sub

WINDLASS = str(Path(sys.executable).with_name("windlass"))
BASE = "python:3.12-slim-bookworm"
CONFINED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp", "--pids-limit=200"]
TOKEN = "token-that-nobody-may-see"

ECHO = """
import subprocess

import triton_python_backend_utils as pb_utils

# An orphan: its parent ends before it does.
subprocess.run(["sh", "-c", "sleep 0.2 & exit 0"])


class TritonPythonModel:
    def execute(self, requests):
        tensors = [pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", tensor)]) for tensor in tensors]
"""
TENSORS = 'input { name: "INPUT0" %s } output { name: "OUTPUT0" %s }'.replace("%s", "data_type: TYPE_FP32 dims: [ -1 ]")
PROJECT = """
name: {name}
image:
  windlass: dist/{wheel}
  index: index
  system_packages: [libgomp1]
  source: https://git.example.com/tiny
services:
  plain:
    models: [add, echo]
  baked:
    models: [total]
    bake: true
secrets:
  index: {{file: secrets/pip.conf}}
targets:
  here: {{kind: compose}}
"""


class Project:
    """A project in a folder, and the engine its images are built with."""

    def __init__(self, folder: Path, engine, name: str) -> None:
        self.folder = folder
        self.engine = engine
        self.name = name

    def windlass(self, *words: object, path: str | None = None) -> "subprocess.CompletedProcess[str]":
        environment = {**self.engine.environment, **({"PATH": path} if path else {})}
        command = [WINDLASS, *map(str, words)]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def build(self, *words: object) -> list[dict]:
        done = self.windlass("build", "--json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def inspect(self, image: str) -> dict:
        return json.loads(self.engine.docker("image", "inspect", image))[0]

    @contextmanager
    def running(self, image: str, *words: str):
        """Run a container confined, until it is healthy."""
        container = f"{self.name}-{uuid.uuid4().hex[:6]}"
        ports = ["--publish=127.0.0.1::8000", "--publish=127.0.0.1::8001"]
        self.engine.docker("run", "--detach", "--name", container, *CONFINED, *ports, *words, image)
        try:
            assert self.engine.health(container) == "healthy", self.engine.docker("logs", container)
            yield container
        finally:
            self.engine.docker("rm", "--force", container)

    def address(self, container: str, port: int) -> str:
        return self.engine.docker("port", container, str(port)).split()[0]


@pytest.fixture(scope="module")
def project(engine, image, wheel, tmp_path_factory) -> Project:
    image(BASE)
    folder = tmp_path_factory.mktemp("project")
    (folder / "dist").mkdir()
    shutil.copy(wheel, folder / "dist")
    for model in ("add", "total"):
        (folder / "models" / model / "1").mkdir(parents=True)
        make_onnx_add_sub(folder / "models" / model / "1" / "model.onnx")
    (folder / "models/echo/1").mkdir(parents=True)
    (folder / "models/echo/1/model.py").write_text(ECHO)
    (folder / "models/echo/config.pbtxt").write_text(f'backend: "python" max_batch_size: 8 {TENSORS}')
    (folder / "secrets").mkdir()
    (folder / "secrets/pip.conf").write_text(f"# {TOKEN}\n[global]\ntimeout = 60\n" + _settings())
    name = f"tiny-{uuid.uuid4().hex[:6]}"
    (folder / "windlass.yaml").write_text(PROJECT.format(name=name, wheel=wheel.name))
    return Project(folder, engine, name)


def _settings() -> str:
    """What pip is told on this machine beside what the stand-in images know."""
    return "".join(
        f"{key} = {os.environ[name]}\n" for name, key in {"PIP_INDEX_URL": "index-url"}.items() if name in os.environ
    )


@pytest.fixture(scope="module")
def plain(project) -> dict:
    return project.build("plain")[0]


@pytest.fixture(scope="module")
def baked(project) -> dict:
    return project.build("baked")[0]


def test_what_was_resolved_is_kept_with_digests(project, plain):
    lock = (project.folder / "locks/plain.txt").read_text()

    names = [line.partition("==")[0] for line in lock.splitlines() if "==" in line]
    assert "onnxruntime" in names
    assert "windlass" not in names
    assert lock.count("--hash=sha256:") == len(names)
    assert (
        project.inspect(plain["reference"])["Config"]["Labels"]["org.opencontainers.image.version"]
        in plain["reference"]
    )


def test_a_confined_server_answers_over_rest_and_grpc_and_ends_well(project, plain):
    from tritonclient import grpc

    models = f"--volume={project.folder}/models:/models:ro"
    with project.running(plain["reference"], models, "--shm-size=64m") as container:
        row = np.arange(16, dtype=np.float32).reshape(1, 16)
        body = {
            "inputs": [
                {"name": name, "shape": [1, 16], "datatype": "FP32", "data": row.flatten().tolist()}
                for name in ("INPUT0", "INPUT1")
            ]
        }
        told = httpx.post(f"http://{project.address(container, 8000)}/v2/models/add/infer", json=body).json()
        assert told["outputs"][0]["data"] == (row + row).flatten().tolist()

        with grpc.InferenceServerClient(project.address(container, 8001)) as client:
            tensor = grpc.InferInput("INPUT0", [1, 16], "FP32")
            tensor.set_data_from_numpy(row)
            assert client.infer("echo", [tensor]).as_numpy("OUTPUT0").tolist() == row.tolist()

        assert project.engine.docker("exec", container, "id", "-u").strip() == "10001"
        project.engine.docker("stop", "--time=30", container)
        state = json.loads(project.engine.docker("inspect", container))[0]["State"]
        assert state["ExitCode"] == 0


def test_orphans_of_model_code_are_reaped(project, plain):
    with project.running(plain["reference"], f"--volume={project.folder}/models:/models:ro") as container:
        asleep = "sleep"
        until = time.monotonic() + 30
        while asleep in (told := project.engine.docker("exec", container, "sh", "-c", "cat /proc/[0-9]*/comm").split()):
            assert time.monotonic() < until, told
        assert "windlass" in told


def test_labels_tell_where_an_image_comes_from(project, baked):
    labels = project.inspect(baked["reference"])["Config"]["Labels"]

    assert labels["org.opencontainers.image.source"] == "https://git.example.com/tiny"
    assert labels["org.opencontainers.image.base.name"] == BASE
    assert labels["windlass.model.total"].startswith("sha256:")
    assert project.inspect(baked["reference"])["Config"]["User"] == "10001:10001"


def test_no_image_has_the_secret_of_the_index_nor_pip(project, plain):
    assert TOKEN not in project.engine.docker("history", "--no-trunc", plain["reference"])
    saved = project.folder / "image.tar"
    project.engine.docker("save", "--output", saved, plain["reference"])
    assert subprocess.run(["grep", "--quiet", "--text", TOKEN, saved], check=False).returncode == 1
    saved.unlink()
    seen = project.engine.docker(
        "run", "--rm", "--entrypoint=sh", plain["reference"], "-c", "command -v pip || echo none"
    )
    assert seen.strip() == "none"


def test_the_same_inputs_give_the_same_image(project, plain):
    again = project.windlass("build", "plain", "--json")
    assert json.loads(again.stdout)[0]["digest"] == plain["digest"]
    assert "[dependencies 1/1]" in again.stderr
    assert all(line.endswith("cached") for line in again.stderr.splitlines() if "[dependencies" in line)


def test_without_a_cache_all_layers_but_changes_of_the_base_are_the_same(project, baked):
    file = project.folder / ".windlass/here/images/baked/Dockerfile"
    secret = f"id=index,src={project.folder}/secrets/pip.conf"
    words = ["--no-cache", "--quiet", "--secret", secret, "--build-arg=SOURCE_DATE_EPOCH=0", f"--file={file}"]
    anew = project.engine.docker("buildx", "build", *words, project.folder).strip()

    before, after = (project.inspect(one)["RootFS"]["Layers"] for one in (baked["reference"], anew))
    base = len(project.inspect(BASE)["RootFS"]["Layers"])
    # Packages of the distribution are installed after it, and pip is taken away: both leave times behind.
    assert before[base + 2 :] == after[base + 2 :]
    assert before[:base] == after[:base]


def test_a_package_that_is_not_the_locked_one_is_refused(project, plain):
    lock = project.folder / "locks/plain.txt"
    right = lock.read_text()
    head, _, rest = right.partition("--hash=sha256:")
    lock.write_text(f"{head}--hash=sha256:{'0' * 64}{rest[64:]}")

    done = project.windlass("build", "plain")

    lock.write_text(right)
    assert done.returncode == 2
    assert "error: the packages of `plain` are not those of its lock" in done.stderr
    assert "hint: pin them anew with `windlass build --lock plain`" in done.stderr


def test_a_lock_that_answers_another_question_is_made_anew(project, plain):
    lock = project.folder / "locks/plain.txt"
    right = lock.read_text()
    lock.write_text(right.replace("# answers: ", "# answers: 0"))

    project.build("plain")

    assert lock.read_text() == right


def test_images_are_pushed_to_the_projects_registry(project, plain, registry):
    file = project.folder / "windlass.yaml"
    text = file.read_text()
    try:
        file.write_text(text.replace("image:\n", f"image:\n  registry: {registry}/team\n", 1))
        (pushed,) = project.build("plain", "--push")
        tags = httpx.get(f"http://{registry}/v2/team/{project.name}-plain/tags/list").json()["tags"]
        assert pushed["reference"] == f"{registry}/team/{project.name}-plain:{tags[0]}"
    finally:
        file.write_text(text)


def test_a_push_without_a_registry_tells_what_to_say(project, plain):
    done = project.windlass("build", "plain", "--push")

    assert done.returncode == 2
    assert "hint: name one with `image.registry`" in done.stderr


@pytest.fixture
def registry(tool, tmp_path):
    """A registry of the test's own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\nhttp: {{addr: '{address}'}}\n"
    )
    with subprocess.Popen(
        [tool("docker-registry"), "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as served:
        until = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"http://{address}/v2/")
                break
            except httpx.TransportError:
                assert time.monotonic() < until
        yield address
        served.terminate()
