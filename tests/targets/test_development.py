"""The development image: Jupyter behind a token, SSH with keys only, both as a user who is not root."""

import json
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from windlass.generate.images.development import AUTHORIZED_KEYS, SSH

WINDLASS = str(Path(sys.executable).with_name("windlass"))
CONFINED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp", "--volume=/cache"]
PROJECT = """
name: {name}
image: {{windlass: {wheel}}}
development:
  token: jupyter
  ssh: {{authorized_keys: keys.pub}}
secrets:
  jupyter: {{file: token}}
targets:
  here: {{kind: compose}}
"""
TOKEN = "a-long-token"


@pytest.fixture(scope="module")
def name() -> str:
    return f"dev-{uuid.uuid4().hex[:6]}"


@pytest.fixture(scope="module")
def folder(engine, image, wheel, name, tmp_path_factory) -> Path:
    image("python:3.12-slim-bookworm")
    folder = tmp_path_factory.mktemp("development")
    (folder / "models/echo/1").mkdir(parents=True)
    (folder / "models/echo/1/model.py").write_text("import windlass\n")
    (folder / "models/echo/config.pbtxt").write_text('backend: "python"\n')
    (folder / wheel.name).write_bytes(wheel.read_bytes())
    (folder / "token").write_text(TOKEN)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "keys"], check=True)
    (folder / "windlass.yaml").write_text(PROJECT.format(name=name, wheel=wheel.name))
    return folder


@pytest.fixture(scope="module")
def built(folder, engine) -> str:
    command = [WINDLASS, "build", "development", "--json"]
    done = subprocess.run(command, cwd=folder, env=engine.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[0]["reference"]


def started(engine, name, *words: str | Path) -> str:
    container = f"{name}-{uuid.uuid4().hex[:4]}"
    engine.docker("run", "--detach", "--name", container, *CONFINED, *words)
    return container


def test_jupyter_wants_its_token(engine, built, folder, name):
    secret = f"--volume={folder}/token:/run/secrets/jupyter:ro"
    container = started(engine, name, "--publish=127.0.0.1::8888", secret, built)
    assert engine.health(container) == "healthy", engine.docker("logs", container)
    address = f"http://{engine.docker('port', container, '8888').split()[0]}/api/contents"

    assert httpx.get(address).status_code == 403
    assert httpx.get(address, headers={"Authorization": "token wrong"}).status_code == 403
    assert httpx.get(address, headers={"Authorization": f"token {TOKEN}"}).status_code == 200
    assert engine.docker("exec", container, "id", "-u").strip() == "10001"
    assert TOKEN not in engine.docker("logs", container)


def test_editors_come_in_with_a_key_and_nobody_else_does(engine, built, folder, name, tmp_path):
    keys = f"--volume={folder}/keys.pub:{AUTHORIZED_KEYS}:ro"
    container = started(engine, name, "--publish=127.0.0.1::2222", keys, built, *SSH)
    port = engine.docker("port", container, "2222").split()[0].rpartition(":")[2]
    options = ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={tmp_path}/known", "-o", "LogLevel=ERROR"]
    options += ["-o", "ConnectionAttempts=20", "-o", "IdentitiesOnly=yes", "-p", port]

    def enter(user: str, *more: str | Path) -> "subprocess.CompletedProcess[str]":
        command = ["ssh", *options, *more, f"{user}@127.0.0.1", "id -u; command -v windlass"]
        return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    inside = enter("windlass", "-i", folder / "keys")
    assert inside.stdout.split() == ["10001", "/opt/venv/bin/windlass"], inside.stderr + engine.docker(
        "logs", container
    )
    keyless = enter("windlass", "-o", "PubkeyAuthentication=no")
    assert keyless.returncode == 255
    assert "Permission denied (publickey)" in keyless.stderr
    assert enter("root", "-i", folder / "keys").returncode == 255


def test_no_key_of_a_server_is_in_the_image(engine, built):
    found = engine.docker("run", "--rm", built, "sh", "-c", "find / -name 'ssh_host_*' 2>/dev/null; echo done")
    assert found.split() == ["done"]
