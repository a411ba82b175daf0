"""The verbs over Docker Compose: real containers, the real nginx, real requests, and all that can go wrong."""

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from support.certificates import Authority
from support.gateway import free_port
from tools.engine import Engine
from tools.place import environment

WINDLASS = str(Path(sys.executable).with_name("windlass"))
KEY = "0123456789-abcdef"
INPUT = {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}

DOCKERFILE = """
FROM python:3.12-slim
COPY *.whl /
RUN --mount=type=cache,target=/root/.cache/pip pip install /*.whl
"""
PROJECT = """
name: {name}
services:
  images: {{models: [echo], image: {image}, memory: 1GiB, startup: 60s, drain: 1s}}
  texts: {{models: [copy], image: {image}, memory: 1GiB, startup: 60s, drain: 1s}}
gateway:
  image: nginx:1.22
  port: {port}
  grpc_port: {grpc_port}
  tls: {{certificate: certificate, key: certificate-key}}
  auth: {{keys: keys}}
  max_body: 64KiB
observability: {{prometheus: {{port: {metrics_port}, scrape_interval: 1s}}}}
secrets:
  certificate: {{file: secrets/tls.crt}}
  certificate-key: {{environment: TRIED_KEY}}
  keys: {{file: secrets/keys}}
targets:
  here: {{kind: compose}}
  plain: {{kind: compose, overrides: {{gateway: {{tls: null, auth: null}}, observability: {{prometheus: null}}}}}}
  elsewhere: {{kind: compose, context: "{engine}"}}
"""


@dataclass
class Project:
    """A project in a folder, and the command line over it."""

    folder: Path
    name: str
    ports: tuple[int, int, int]
    engine: Engine
    environment: dict[str, str]

    def run(self, *words: str, status: int = 0) -> str:
        done = subprocess.run(
            [WINDLASS, *words], cwd=self.folder, capture_output=True, text=True, env=self.environment, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def status(self, target: str = "here") -> dict[str, list[dict[str, Any]]]:
        words = [WINDLASS, "status", "--json", "--target", target]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, env=self.environment)
        told: dict[str, list[dict[str, Any]]] = {}
        for one in json.loads(done.stdout):
            told.setdefault(one["service"], []).append(one)
        return told

    def left(self) -> list[str]:
        """What the engine still has of the project."""
        label = f"--filter=label=com.docker.compose.project={self.name}"
        found = self.engine.docker("ps", "--all", "--quiet", label).split()
        return found + [
            one for kind in ("network", "volume") for one in self.engine.docker(kind, "ls", "--quiet", label).split()
        ]

    def edit(self, old: str, new: str) -> None:
        file = self.folder / "windlass.yaml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def server_image(engine, image, wheel, tmp_path_factory) -> str:
    """An image with windlass in it."""
    context = tmp_path_factory.mktemp("context")
    image("python:3.12-slim")
    (context / wheel.name).write_bytes(wheel.read_bytes())
    (context / "Dockerfile").write_text(DOCKERFILE)
    engine.docker("build", "--quiet", "--tag=windlass-tried:1", context)
    return "windlass-tried:1"


@pytest.fixture
def fresh(engine, image, server_image, authority, repository, tmp_path) -> Iterator[Project]:
    """A project that was never started; nothing is left of it afterwards."""
    for name in ("nginx:1.22", "busybox:1.37", "prom/prometheus:v3.5.0"):
        image(name)
    repository.add_identity("echo")
    repository.add_identity("copy")
    signed = authority.sign("models.example.com")
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "tls.crt").write_bytes(signed.certificate)
    (tmp_path / "secrets" / "keys").write_text(f"kiosk {KEY}\n")
    ports = free_port(), free_port(), free_port()
    name = f"tried-{uuid.uuid4().hex[:8]}"
    text = PROJECT.format(
        name=name,
        image=server_image,
        port=ports[0],
        grpc_port=ports[1],
        metrics_port=ports[2],
        engine=f"unix://{engine.folder}/docker.sock",
    )
    (tmp_path / "windlass.yaml").write_text(text)
    # What others may not enter on this machine, containers see through their mount.
    for path in (tmp_path, repository.path):
        path.chmod(0o755)
    environment = {**os.environ, **engine.environment, "TRIED_KEY": signed.key.decode()}
    project = Project(tmp_path, name, ports, engine, environment)
    yield project
    project.run("down", "--volumes", "--yes")
    assert project.left() == []


def ask(project: Project, authority: Authority, key: str = KEY, model: str = "echo") -> httpx.Response:
    trust = ssl.create_default_context(cadata=authority.certificate.decode())
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(verify=trust, headers=headers) as client:
        return client.post(f"https://127.0.0.1:{project.ports[0]}/v2/models/{model}/infer", json=INPUT)


def until_ready(project: Project, service: str) -> list[dict[str, Any]]:
    until = time.monotonic() + 60
    while True:
        replicas = project.status().get(service, [])
        if replicas and all(one["state"] == "ready" for one in replicas):
            return replicas
        assert time.monotonic() < until, replicas


def test_a_project_comes_up_answers_heals_scales_and_goes(fresh, authority):
    told = fresh.run("up")
    assert "is ready" in told
    assert {service: [one["state"] for one in some] for service, some in fresh.status().items()} == {
        "gateway": ["ready"],
        "images": ["ready"],
        "texts": ["ready"],
        "prometheus": ["ready"],
    }

    # HTTPS and gRPC, with and without a key.
    assert ask(fresh, authority).json()["outputs"][0]["data"] == [1, 2]
    assert ask(fresh, authority, model="copy").status_code == 200
    assert ask(fresh, authority, key="wrong-0123456789").status_code == 401
    with grpc.secure_channel(
        f"127.0.0.1:{fresh.ports[0]}", grpc.ssl_channel_credentials(authority.certificate)
    ) as channel:
        calls = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        asked, named = service_pb2.ModelReadyRequest(name="echo"), [("windlass-service", "images")]
        assert calls.ModelReady(asked, metadata=[*named, ("authorization", f"Bearer {KEY}")]).ready
        with pytest.raises(grpc.RpcError) as refused:
            calls.ModelReady(asked, metadata=named)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED

    # What runs is what the project says, and confined as it says.
    assert fresh.run("up", "--dry-run").strip() == "nothing would change"
    (server,) = fresh.status()["images"]
    confined = json.loads(fresh.engine.docker("inspect", server["name"]))[0]
    assert confined["HostConfig"]["ReadonlyRootfs"] and confined["HostConfig"]["CapDrop"] == ["ALL"]
    assert confined["Config"]["User"] == "10001:10001" and confined["HostConfig"]["PidsLimit"] == 1024
    assert not any(mount["RW"] for mount in confined["Mounts"] if mount["Destination"] == "/models")
    assert KEY not in json.dumps(json.loads(fresh.engine.docker("inspect", fresh.status()["gateway"][0]["name"])))

    # A server that dies is started again.
    os.kill(confined["State"]["Pid"], signal.SIGKILL)
    assert until_ready(fresh, "images")[0]["restarts"] == 1
    assert ask(fresh, authority).status_code == 200

    # More replicas, then one after the other anew.
    fresh.run("scale", "images=2")
    assert len(until_ready(fresh, "images")) == 2
    assert "service images: 1 replicas instead of 2" in fresh.run("up", "--dry-run")
    fresh.run("restart", "images")
    assert len(until_ready(fresh, "images")) == 2
    assert ask(fresh, authority).status_code == 200
    said = fresh.run("logs", "images", "--tail", "5")
    assert "images-2" in said and "\x1b" not in said
    found = httpx.get(f"http://127.0.0.1:{fresh.ports[2]}/api/v1/query", params={"query": "up == 1"}).json()
    assert {one["metric"]["service"] for one in found["data"]["result"]} == {"images", "texts"}

    # A key that is taken away opens nothing after the next `up`.
    (fresh.folder / "secrets" / "keys").write_text("kiosk another-0123456789\n")
    fresh.run("up")
    assert ask(fresh, authority).status_code == 401
    assert ask(fresh, authority, key="another-0123456789").status_code == 200

    # Another target does not take over what runs of this one; without TLS, keys and Prometheus it is what is left.
    told = fresh.run("up", "--target", "plain", status=2)
    assert f"what runs here as Compose project `{fresh.name}` is target `here`, not `plain`" in told
    fresh.run("down", "--target", "plain", status=2)
    file = fresh.folder / "windlass.yaml"
    file.write_text(re.sub(r"(?m)^observability: .*\n", "", file.read_text()))
    assert "prometheus-1: would be removed" in fresh.run("up", "--dry-run")
    fresh.run("up")
    assert set(fresh.status()) == {"gateway", "images", "texts"}
    fresh.run("down")
    assert fresh.status() == {}

    fresh.run("up", "--target", "plain")
    assert httpx.post(f"http://127.0.0.1:{fresh.ports[0]}/v2/models/echo/infer", json=INPUT).status_code == 200
    fresh.run("down", "--target", "plain")


def test_an_engine_elsewhere_gets_files_models_and_secrets_carried(fresh, authority):
    fresh.run("up", "--target", "elsewhere")

    assert ask(fresh, authority).status_code == 200
    (server,) = fresh.status("elsewhere")["images"]
    mounts = json.loads(fresh.engine.docker("inspect", server["name"]))[0]["Mounts"]
    assert {mount["Type"] for mount in mounts} == {"volume"}
    assert "nothing would change" in fresh.run("up", "--target", "elsewhere", "--dry-run")
    fresh.run("down", "--volumes", "--yes", "--target", "elsewhere")


def test_a_model_that_does_not_load_is_told_in_one_sentence(fresh):
    broken = fresh.folder / "models" / "echo" / "1" / "model.py"
    broken.write_text("raise ValueError('the weights are not here')")
    fresh.edit("startup: 60s", "startup: 3s")

    told = fresh.run("up", status=2)

    assert "the weights are not here" in told
    assert "images-1" in told
    broken.write_text(broken.read_text().replace("raise", "# raise") + "\nfrom copy_of import *\n")
    assert fresh.status()["images"][0]["state"] in ("unready", "starting")


def test_a_port_in_use_is_named(fresh):
    with httpx.Client():
        import socket

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", fresh.ports[0]))
            taken.listen()
            told = fresh.run("up", status=2)

    assert f"port {fresh.ports[0]} is in use" in told
    # The next one repairs what this one left.
    fresh.run("up")
    assert fresh.status()["gateway"][0]["state"] == "ready"


def test_an_interrupted_start_is_finished_by_the_next(fresh, authority):
    process = subprocess.Popen(
        [WINDLASS, "up"], cwd=fresh.folder, env=fresh.environment, stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr or ():
        if "images-1 is starting" in line:
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "finishes what was begun" in said

    fresh.run("up")

    assert ask(fresh, authority).status_code == 200


def test_an_image_that_is_nowhere_is_named(fresh):
    fresh.edit("windlass-tried:1, memory: 1GiB, startup: 60s, drain: 1s}\n  texts", "nowhere.invalid/x:1}\n  texts")

    assert "the registry `nowhere.invalid` does not answer" in fresh.run("up", status=2)


def test_a_server_without_enough_memory_is_told_so(fresh):
    fresh.edit("memory: 1GiB, startup: 60s, drain: 1s}\n  texts", "memory: 16MiB, startup: 60s}\n  texts")

    told = fresh.run("up", status=2)

    assert "images-1" in told and "memory" in told and "16 MiB" in told


def test_a_secret_that_its_container_could_not_read_is_refused_beforehand(fresh):
    (fresh.folder / "secrets" / "keys").chmod(0o600)
    os.chown(fresh.folder / "secrets" / "keys", 4321, 4321)

    told = fresh.run("up", status=2)

    assert "the secret `keys` cannot be read in its container, by user 101" in told
    assert "chmod o+r secrets/keys" in told
    assert fresh.left() == []


@pytest.fixture
def unreached(tool, repository, tmp_path) -> tuple[Path, dict[str, str]]:
    """A project, and an environment whose Docker has no engine."""
    tool("docker")
    repository.add_identity("echo")
    targets = "{here: {kind: compose}, lab: {kind: compose, context: lab}}"
    (tmp_path / "windlass.yaml").write_text(
        f"name: tried\nservices: {{models: {{image: 'x:1'}}}}\ntargets: {targets}\n"
    )
    return tmp_path, environment(DOCKER_HOST=f"unix://{tmp_path}/none.sock")


def fails(folder: Path, env: dict[str, str], *words: str) -> str:
    done = subprocess.run([WINDLASS, *words], cwd=folder, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 2, done.stdout
    return done.stderr


@pytest.mark.parametrize("verb", ["up", "status", "down", "logs", "restart"])
def test_an_engine_that_does_not_answer_is_told(unreached, verb):
    folder, env = unreached

    assert "no Docker engine answers" in fails(folder, env, verb)


def test_a_context_that_is_not_there_is_named(unreached):
    folder, env = unreached
    del env["DOCKER_HOST"]

    told = fails(folder, env, "up", "--target", "lab")

    assert "Docker knows no context `lab`" in told and "docker context ls" in told


def test_a_machine_without_docker_is_told_how_to_get_it(unreached, tmp_path):
    folder, env = unreached
    (tmp_path / "bin").mkdir()

    told = fails(folder, {**env, "PATH": f"{tmp_path}/bin"}, "up")

    assert "`docker` is not on this machine" in told and "install Docker Engine" in told


def test_images_that_are_not_there_are_built(fresh, authority, image, wheel):
    image("python:3.12-slim-bookworm")
    (fresh.folder / wheel.name).write_bytes(wheel.read_bytes())
    fresh.edit("image: windlass-tried:1, memory: 1GiB, startup: 60s, drain: 1s}\n  texts", "memory: 1GiB}\n  texts")
    fresh.edit("gateway:\n", f"image: {{windlass: {wheel.name}}}\ngateway:\n")

    told = fresh.run("up")

    assert f"{fresh.name}-images:" in told
    assert ask(fresh, authority).json()["outputs"][0]["data"] == [1, 2]
    assert "nothing would change" in fresh.run("up", "--dry-run")
