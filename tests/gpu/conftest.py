"""A machine with GPUs that are none: stand-ins for the libraries of their driver, and a server that finds them."""

import base64
import contextlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import tritonclient.utils.shared_memory as shm

WINDLASS = Path(sys.executable).parent / "windlass"
SOURCES = Path(__file__).parent / "standin"
FREE = ("--http-port=0", "--grpc-port=0", "--metrics-port=0", "--json-logs")


class Serving:
    """``windlass serve`` in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[dict[str, object]] = []
        assert process.stderr
        for line in process.stderr:
            self.lines.append(json.loads(line))
            if "addresses" in self.lines[-1]:
                break
        self.addresses: dict[str, str] = self.lines[-1]["addresses"]  # type: ignore[assignment]

    def maps(self, segment: str) -> bool:
        """Tell whether the process has that segment mapped."""
        return segment in Path(f"/proc/{self.process.pid}/maps").read_text()

    def end(self) -> str:
        """End it; returns what it wrote since it was ready."""
        self.process.terminate()
        return self.process.communicate(timeout=30)[1]

    def messages(self) -> list[str]:
        """End it; returns every line of its log."""
        lines = [*self.lines, *map(json.loads, self.end().splitlines())]
        return [str(line["message"]) for line in lines]


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the stand-ins."""
    folder = tmp_path_factory.mktemp("libraries")
    for source, name in (("cuda.c", "libcuda.so.1"), ("nvml.c", "libnvidia-ml.so.1")):
        command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", folder / name, SOURCES / source]
        subprocess.run([*command, "-lpthread", "-lrt"], check=True)
    return folder


@pytest.fixture
def start(repository, libraries: Path) -> Iterator[Callable[..., Serving]]:
    """Start a server with so many GPUs; without any, the libraries are not there either."""
    running: list[Serving] = []

    def start(*options: str, gpus: int = 2, **environment: str) -> Serving:
        found = {"LD_LIBRARY_PATH": str(libraries), "STANDIN_GPUS": str(gpus)} if gpus else {}
        command = [WINDLASS, "serve", repository.path, *FREE, "--allow-client-shm=true", *options]
        process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, **found, **environment}
        )
        running.append(Serving(process))
        return running[-1]

    yield start
    for serving in running:
        if serving.process.poll() is None:
            serving.end()


class Memory:
    """Memory of a GPU, as a client of the server holds it."""

    def __init__(self, size: int, device: int) -> None:
        self.name, self.size, self.device = f"/test_gpu_{uuid4().hex}", size, device
        self.segment = shm.create_shared_memory_region(self.name, self.name, size)

    @property
    def handle(self) -> bytes:
        """What ``tritonclient.utils.cuda_shared_memory.get_raw_handle`` returns: the 64 bytes, in base64."""
        return base64.b64encode(struct.pack("60si", self.name.encode(), self.device))


@pytest.fixture
def allocate() -> Iterator[Callable[..., Memory]]:
    """Allocate memory of a GPU."""
    with contextlib.ExitStack() as stack:

        def allocate(size: int, device: int = 0) -> Memory:
            memory = Memory(size, device)
            stack.callback(shm.destroy_shared_memory_region, memory.segment)
            return memory

        yield allocate
