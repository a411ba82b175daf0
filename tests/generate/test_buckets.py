"""Models out of a bucket, and copies of volumes into one: the scripts that containers run, against a server of S3."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from support.gateway import free_port
from support.golden import cases
from tools.place import environment
from windlass.config.project.repository import Repository
from windlass.generate import fetch
from windlass.generate.kubernetes.backup import backups
from windlass.generate.kubernetes.secrets import FOLDER

REMOTE = fetch.remote("s3://models")


@dataclass
class Bucket:
    """A bucket, and the file of credentials that leads to it."""

    credentials: Path
    run: Callable[[str], "subprocess.CompletedProcess[str]"]

    def rclone(self, *words: str | Path) -> str:
        # Names of remotes hold variables, as they do in scripts.
        done = self.run(fetch.head(str(self.credentials)) + "rclone " + " ".join(f'"{word}"' for word in words))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def names(self, folder: str = "") -> list[str]:
        return self.rclone("lsf", "--recursive", "--files-only", REMOTE + folder).split()


@pytest.fixture(scope="module")
def address(tool) -> Iterator[str]:
    """A server of buckets."""
    port = free_port()
    words = [tool("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        answering(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def bucket(address, tool, tmp_path) -> Iterator[Bucket]:
    """An empty one. Scripts run in the shell that rclone's image has."""
    tool("rclone")
    busybox = tool("busybox")
    own = {name: value for name, value in environment().items() if not name.startswith(("AWS_", "RCLONE_"))}
    credentials = tmp_path / "credentials"
    credentials.write_text(
        "# of a server of one's own\nAWS_ACCESS_KEY_ID=somebody\nAWS_SECRET_ACCESS_KEY=a=secret==\n"
        f"RCLONE_S3_PROVIDER=Other\nRCLONE_S3_ENDPOINT={address}"
    )

    def run(script: str) -> "subprocess.CompletedProcess[str]":
        line = [str(busybox), "sh", "-c", script]
        return subprocess.run(line, timeout=60, capture_output=True, text=True, env={**own, "HOME": str(tmp_path)})

    made = Bucket(credentials, run)
    made.rclone("mkdir", REMOTE)
    yield made
    made.rclone("purge", REMOTE)


def answering(url: str) -> None:
    transport = httpx.HTTPTransport(retries=20)
    with httpx.Client(transport=transport, timeout=30) as client:
        client.get(url)


@pytest.fixture
def models(tmp_path) -> Path:
    """A repository, with the digests of its files beside them."""
    folder = tmp_path / "models"
    for name in ("a", "b"):
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "1" / "model.onnx").write_bytes(os.urandom(1000))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder)}\n" for file in files]
    (folder / "SHA256SUMS").write_text("".join(digests))
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_models_are_fetched_and_only_what_is_new_is_copied_again(bucket, models, tmp_path):
    bucket.rclone("copy", models, REMOTE)
    script = fetch.script(Repository(url="s3://models"), folder=f"{tmp_path}/fetched", secret=str(bucket.credentials))
    assert bucket.run(script).returncode == 0
    assert content(tmp_path / "fetched") == content(models)

    kept = (tmp_path / "fetched" / "a" / "1" / "model.onnx").stat().st_mtime_ns
    (models / "SHA256SUMS").unlink()
    (models / "b" / "1" / "model.onnx").write_bytes(b"another")
    bucket.rclone("sync", models, REMOTE)
    assert bucket.run(script).returncode == 0
    assert content(tmp_path / "fetched") == content(models)
    assert (tmp_path / "fetched" / "a" / "1" / "model.onnx").stat().st_mtime_ns == kept


def test_models_that_differ_from_their_digests_are_refused(bucket, models, tmp_path):
    (models / "a" / "1" / "model.onnx").write_bytes(b"somebody else's")
    bucket.rclone("copy", models, REMOTE)
    script = fetch.script(Repository(url="s3://models"), folder=f"{tmp_path}/fetched", secret=str(bucket.credentials))
    done = bucket.run(script)
    assert done.returncode != 0
    assert "a/1/model.onnx" in done.stdout + done.stderr


def test_a_bucket_that_is_not_there_is_an_error(bucket, tmp_path):
    script = fetch.script(Repository(url="s3://other"), folder=f"{tmp_path}/fetched", secret=str(bucket.credentials))
    done = bucket.run(script)
    assert done.returncode != 0
    assert "a=secret==" not in done.stdout + done.stderr


def test_a_volume_is_copied_and_the_oldest_copy_goes(bucket, models, tmp_path):
    (case,) = (case for case in cases() if case.name == "everything")
    (tmp_path / "project").mkdir()
    release = case.release(tmp_path / "project", "prod")
    backup = release.project.repository.backup
    job, kept = next((one, one["metadata"]["name"]) for one in backups(release) if one["kind"] == "CronJob")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    (script,) = container["args"]
    for there, here in (
        (fetch.remote(backup.to), REMOTE),
        (f"{FOLDER}/{backup.credentials}", str(bucket.credentials)),
        ("/volume", str(models)),
    ):
        assert there in script
        script = script.replace(there, here)
    folder = next(name for name in ("models", *release.project.services) if name in kept)
    for day in range(1, backup.keep + 1):
        bucket.rclone("copy", models, f"{REMOTE}/{folder}/2020-01-{day:02d}T00-00-00Z")

    done = bucket.run(script)

    assert done.returncode == 0, done.stderr
    copies = sorted({name.split("/")[0] for name in bucket.names(f"/{folder}")})
    assert len(copies) == backup.keep
    assert copies[0] == "2020-01-02T00-00-00Z"
    bucket.rclone("copy", f"{REMOTE}/{folder}/{copies[-1]}", tmp_path / "restored")
    assert content(tmp_path / "restored") == content(models)
