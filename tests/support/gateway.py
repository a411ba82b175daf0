"""A generated gateway on this machine: the real nginx, over names and folders of the tests' own."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.names import Names
from tools import place
from tools.place import Missing
from windlass.generate import nginx
from windlass.generate.nginx import Place
from windlass.release import Release

# Nobody: as in its container nginx is not root.
USER = 65534


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def version(program: Path) -> str:
    """The version of an nginx, such as 1.22.1."""
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    return said.rpartition("/")[2].split()[0]


def programs() -> list[Path]:
    """The nginx of this machine, and a newer one where the tests' tools have it."""
    here = shutil.which("nginx", path=f"{os.environ.get('PATH')}:/usr/sbin")
    found = [Path(here)] if here else []
    for name in ("nginx", "nginx-newer"):
        with suppress(Missing):
            found.append(place.program(name))
    return list({version(one): one for one in found}.values())


@dataclass
class Gateway:
    """The files of a gateway, laid out to be used."""

    folder: Path
    place: Place
    program: Path
    names: Names
    with_keys: bool
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def rest(self) -> str:
        return f"127.0.0.1:{self.place.rest_port}"

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.place.grpc_port}"

    @property
    def log(self) -> str:
        """The access log."""
        return (self.folder / "log").read_text()

    @property
    def errors(self) -> str:
        """What nginx has complained of."""
        return (self.folder / "errors").read_text()

    def wait_for_log(self, *texts: str) -> list[dict[str, Any]]:
        """Wait until the access log has such texts (a line is written after its answer); returns its lines."""
        until = time.monotonic() + 20
        while not all(text in self.log for text in texts):
            assert time.monotonic() < until, self.log
        return [json.loads(line) for line in self.log.splitlines()]

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start as the container does, with further words for nginx."""
        configuration = f"{self.folder}/nginx.conf"
        plain = [str(self.program), "-c", configuration, "-g", "daemon off;", *words]
        command = ["/bin/sh", f"{self.folder}/start.sh", *words] if self.with_keys else plain
        # The start script knows one name for it.
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        given = {"user": USER, "group": USER} if os.geteuid() == 0 else {}
        with (self.folder / "log").open("ab") as log, (self.folder / "errors").open("ab") as errors:
            return subprocess.Popen(command, stdout=log, stderr=errors, env={"PATH": path}, **given)

    def wait(self) -> None:
        """Wait until nginx answers."""
        until = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.place.status_port}/health", timeout=2)
            except (urllib.error.URLError, ConnectionError):
                assert self.process is not None and self.process.poll() is None, self.errors
                assert time.monotonic() < until, self.errors
            else:
                return


@contextmanager
def laid_out(
    release: Release, program: Path, secrets: dict[str, bytes], table: dict[str, list[str]]
) -> Iterator[Gateway]:
    """Write a gateway's files for an nginx, with secrets beside them; names are answered until the end."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-"))
    names = Names({f"{name}.test": addresses for name, addresses in table.items()})
    place = Place(
        resolver=f"127.0.0.1:{names.port}",
        host="{service}.test",
        secrets=f"{folder}/secrets",
        scratch=f"{folder}/scratch",
        configuration=str(folder),
        listen="127.0.0.1:",
        rest_port=free_port(),
        grpc_port=free_port(),
        status_port=free_port(),
    )
    for name in ("secrets", "scratch"):
        (folder / name).mkdir()
    for name, text in nginx.files(release, place).items():
        (folder / name).write_text(text)
    for name, value in secrets.items():
        (folder / "secrets" / name).write_bytes(value)
    (folder / "bin").mkdir()
    (folder / "bin" / "nginx").symlink_to(program.absolute())
    for name in ("log", "errors"):
        (folder / name).touch()
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, USER, USER, follow_symlinks=False)
    try:
        yield Gateway(folder, place, program, names, nginx.starts_with_keys(release))
    finally:
        names.close()
        shutil.rmtree(folder)


@contextmanager
def running(gateway: Gateway) -> Iterator[Gateway]:
    """Run a gateway that was laid out."""
    gateway.process = gateway.start()
    try:
        gateway.wait()
        yield gateway
    finally:
        gateway.process.terminate()
        gateway.process.wait()
