"""Images as users get them: built by the verb, confined, asked for an inference, ended."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import models
from tools.engine import Engine
from tools.place import PROGRAMS

WINDLASS = str(Path(sys.executable).with_name("windlass"))
SECRET = "hunter2-and-nothing-else"
CONFINED = (
    "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--pids-limit=256",
)  # fmt: skip


class Project:
    """A project in a folder whose images are built by the tests' engine."""

    def __init__(self, folder: Path, engine: Engine, wheel: Path) -> None:
        self.folder = folder
        self.engine = engine
        self.name = f"t{uuid.uuid4().hex[:8]}"
        (folder / wheel.name).write_bytes(wheel.read_bytes())
        self.wheel = wheel.name

    def write(self, services: str, more: str = "") -> None:
        image = f"image: {{windlass: {self.wheel}, python: '3.12'}}"
        text = f"name: {self.name}\n{image}\nservices: {services}\ntargets: {{box: {{kind: compose}}}}\n{more}\n"
        (self.folder / "windlass.yaml").write_text(text)

    def build(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        path = f"{PROGRAMS}:{os.environ['PATH']}"
        env = {**self.engine.environment, "PATH": path, **environment}
        return subprocess.run(
            [WINDLASS, "build", *words],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=800,
            check=False,
        )

    def built(self, *words: str) -> list[dict[str, Any]]:
        done = self.build("--json", *words)
        assert done.returncode == 0, done.stderr
        told: list[dict[str, Any]] = json.loads(done.stdout)
        return told

    def layers(self, reference: str) -> list[str]:
        told = self.engine.docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", reference)
        layers: list[str] = json.loads(told)
        return layers

    def started(self, reference: str, *options: str) -> tuple[str, str]:
        """Start an image, confined; returns the container and its address once it is ready."""
        name = f"{self.name}-{uuid.uuid4().hex[:4]}"
        words = ["run", "--detach", "--name", name, *CONFINED, "--publish=127.0.0.1::8000", *options, reference]
        self.engine.docker(*words)
        address = "http://" + self.engine.docker("port", name, "8000").strip()
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if httpx.get(f"{address}/v2/health/ready").status_code == 200:
                    return name, address
            except httpx.HTTPError:
                pass
        raise AssertionError(self.engine.docker("logs", name))


@pytest.fixture
def project(tmp_path, engine, image, wheel) -> Iterator[Project]:
    image("python:3.12-slim-bookworm")
    yield Project(tmp_path, engine, wheel)


def infer(address: str, model: str, name: str, data: list[float]) -> list[float]:
    body = {"inputs": [{"name": name, "datatype": "FP32", "shape": [1, len(data)], "data": data}]}
    answer = httpx.post(f"{address}/v2/models/{model}/infer", json=body)
    assert answer.status_code == 200, answer.text
    found: list[float] = answer.json()["outputs"][0]["data"]
    return found


def test_a_service_of_onnx_and_python_models_is_small_confined_and_ends_well(project, repository):
    models.make_onnx_identity(repository.path / "scale" / "1" / "model.onnx")
    repository.add_identity("echo")
    project.write("{served: {}}")

    (made,) = project.built("--sbom")

    # The image of ONNX Runtime on a CPU.
    assert made["size_bytes"] < 350e6, made["layers"]
    lock = (project.folder / "locks" / "served.txt").read_text()
    assert re.search(r"^onnxruntime==\S+ \\\n +--hash=sha256:", lock, re.MULTILINE)
    bill = json.loads((project.folder / "sbom" / "served.cdx.json").read_text())
    assert {"windlass", "numpy", "onnxruntime"} <= {one["name"] for one in bill["components"]}

    container, address = project.started(made["reference"], f"--volume={repository.path}:/models:ro")
    assert infer(address, "echo", "INPUT0", [1, 2, 3]) == [1, 2, 3]
    assert httpx.get(f"{address}/v2/models/scale/ready").status_code == 200
    assert project.engine.docker("exec", container, "id", "-u").strip() == "10001"
    assert project.engine.health(container) == "healthy"

    project.engine.docker("stop", "--time=20", container)
    (told,) = json.loads(project.engine.docker("inspect", container))
    assert told["State"]["ExitCode"] == 0
    assert '"stopped"' in project.engine.docker("logs", container)


def test_models_are_part_of_the_image_where_asked(project, repository):
    repository.add_identity("echo")
    repository.add_identity("elsewhere")
    (repository.path / "echo" / "note.key").write_text(SECRET)
    project.write("{one: {models: [echo], bake: true}, two: {models: [elsewhere]}}", "secrets: {k: {environment: KEY}}")

    one, two = project.built()

    container, address = project.started(one["reference"])
    assert infer(address, "echo", "INPUT0", [5]) == [5]
    assert project.engine.docker("exec", container, "ls", "/models").split() == ["echo"]
    (told,) = json.loads(project.engine.docker("image", "inspect", one["reference"]))
    labels = told["Config"]["Labels"]
    assert labels["windlass.model.echo"].startswith("sha256:")
    assert labels["org.opencontainers.image.title"] == f"{project.name}-one"
    assert told["Config"]["User"] == "10001:10001"
    history = project.engine.docker("history", "--no-trunc", two["reference"])
    assert SECRET not in history


def test_the_same_inputs_give_the_same_layers_and_other_models_only_another_one(project, repository):
    repository.add_identity("echo")
    project.write("{one: {bake: true}}")
    (before,) = project.built()
    layers = project.layers(before["reference"])

    (again,) = project.built()
    assert again["digest"] == before["digest"]

    repository.add_identity("later")
    (after,) = project.built()
    assert after["reference"] != before["reference"]
    assert project.layers(after["reference"])[: len(layers)] == layers


def test_a_push_that_is_refused_says_why(project, repository):
    repository.add_identity("echo")
    project.write("{one: {}}")
    text = (project.folder / "windlass.yaml").read_text().replace("image: {", "image: {registry: 'localhost:9', ")
    (project.folder / "windlass.yaml").write_text(text)
    done = project.build("--push")
    assert done.returncode == 2
    assert "error: the registry `localhost:9` does not answer" in done.stderr


def test_a_machine_without_docker_or_trivy_says_what_to_install(project, repository, tmp_path):
    repository.add_identity("echo")
    project.write("{one: {}}")
    empty = tmp_path / "nothing-in-here"
    empty.mkdir()
    done = project.build(PATH=str(empty))
    assert done.returncode == 2
    assert "error: `docker` is not on this machine" in done.stderr
    assert "hint: install Docker Engine" in done.stderr
    absent = project.build(DOCKER_HOST="unix:///nowhere/docker.sock")
    assert absent.returncode == 2
    assert "error: no Docker engine answers" in absent.stderr


@pytest.mark.skipif(shutil.which("trivy") is not None, reason="Trivy is here")
def test_a_scan_without_trivy_says_what_to_install(project, repository):
    repository.add_identity("echo")
    project.write("{one: {}}")
    done = project.build("--scan")
    assert done.returncode == 2
    assert "error: `trivy` is not on this machine" in done.stderr
