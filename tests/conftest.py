"""Fixtures: a repository that is built as it is needed, and a server over it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import windlass

pytest_plugins = ["tools.fixtures"]

PYTHON_MODEL = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            tensor = pb_utils.get_input_tensor_by_name(request, "INPUT0")
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", tensor.as_numpy())]))
        return responses
"""


class Repository:
    """Writes models into a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, name: str, source: str, config: str = "", version: int = 1) -> Path:
        """Add a Python model; returns its folder."""
        folder = self.path / name / str(version)
        folder.mkdir(parents=True)
        (folder / "model.py").write_text(source)
        if config:
            (self.path / name / "config.pbtxt").write_text(config)
        return self.path / name

    def add_identity(
        self, name: str, data_type: str = "FP32", dims: str = "-1", batch: int = 8, extra: str = ""
    ) -> Path:
        """Add a model that answers with what it is asked."""
        tensor = f'{{ name: "%s" data_type: TYPE_{data_type} dims: [ {dims} ] }}'
        config = (
            f'backend: "python" max_batch_size: {batch} input {tensor % "INPUT0"} output {tensor % "OUTPUT0"} {extra}'
        )
        return self.add(name, PYTHON_MODEL, config)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    path = tmp_path / "models"
    path.mkdir()
    return Repository(path)


@pytest.fixture
def serve(repository: Repository) -> Iterator[Callable[..., windlass.Server]]:
    """Start a server over the repository on free ports; it is stopped when the test ends."""
    servers: list[windlass.Server] = []

    def start(**settings: object) -> windlass.Server:
        ports = {"http_port": 0, "grpc_port": 0, "metrics_port": 0}
        server = windlass.Server(repository.path, **{**ports, **settings}).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what is generated now as what is expected")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
