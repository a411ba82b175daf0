"""Models as users write them, each in a process of its own and in the server's."""

import queue
import shutil
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
from tritonclient.utils import np_to_triton_dtype

import windlass

MODELS = Path(__file__).parent / "models"
HERE = 'parameters { key: "isolated" value { string_value: "false" } }\n'


class Served:
    """A server over some of the models, and clients that ask it."""

    def __init__(self, server: windlass.Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.rest = windlass.Client(server.url())
        self.grpc = grpc_client.InferenceServerClient(server.addresses["grpc"])

    def ask(self, model: str, /, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Ask a model that gives one answer."""
        return self.rest.infer(model, inputs)

    def stream(self, model: str, /, **inputs: np.ndarray) -> list[list[float] | str]:
        """Ask a decoupled model; returns its outputs and errors as they came, up to the final one."""
        return streamed(self.grpc, model, inputs)

    def close(self) -> None:
        self.rest.close()
        self.grpc.close()


def grpc_inputs(inputs: dict[str, np.ndarray]) -> list[grpc_client.InferInput]:
    """Make the inputs of a gRPC request."""
    made = []
    for name, array in inputs.items():
        given = grpc_client.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        given.set_data_from_numpy(array)
        made.append(given)
    return made


def streamed(
    client: grpc_client.InferenceServerClient, model: str, inputs: dict[str, np.ndarray], **more: object
) -> list[list[float] | str]:
    """Ask over a stream, and collect what comes until the final answer."""
    came: queue.Queue[tuple[object, object]] = queue.Queue()
    client.start_stream(callback=lambda result, error: came.put((result, error)))
    client.async_stream_infer(model, grpc_inputs(inputs), enable_empty_final_response=True, **more)
    answers: list[list[float] | str] = []
    while True:
        result, error = came.get(timeout=20)
        if error is not None:
            answers.append(error.message())
            continue
        response = result.get_response()
        for output in response.outputs:
            answers.append(result.as_numpy(output.name).ravel().tolist())
        if response.parameters["triton_final_response"].bool_param:
            client.stop_stream()
            return answers


@pytest.fixture(params=["a process of its own", "the server's process"])
def mode(request: pytest.FixtureRequest) -> str:
    """Where models run."""
    return request.param


@pytest.fixture
def models(repository, serve, mode):
    """Serve some of the models in one of the two modes."""
    made: list[Served] = []

    def start(*names: str, **settings: object) -> Served:
        for name in names:
            folder = repository.path / name
            shutil.copytree(MODELS / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
            config = folder / "config.pbtxt"
            text = config.read_text() if config.exists() else ""
            backend = 'backend: "python"\ninstance_group { kind: KIND_CPU }\n'
            config.write_text(backend + text + (HERE if mode.startswith("the server") else ""))
        made.append(Served(serve(**settings), repository.path))
        return made[-1]

    yield start
    for served in made:
        served.close()
