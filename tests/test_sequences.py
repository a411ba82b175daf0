"""Sequences as Triton's own clients send them, through models that remember, and through a server that remembers."""

import queue
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException

import windlass
from conftest import Repository

# Adds up in itself what each sequence sends.
SUMS = """
import os

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}

    def execute(self, requests):
        responses = []
        for request in requests:
            value = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            if value.flat[0] < 0:
                os._exit(1)
            start, ready, corrid = (
                pb_utils.get_input_tensor_by_name(request, name).as_numpy().flat[0]
                for name in ("START", "READY", "CORRID")
            )
            if ready:
                corrid = corrid.decode() if isinstance(corrid, bytes) else int(corrid)
                assert corrid == request.correlation_id()
                self.sums[corrid] = value if start else self.sums[corrid] + value
                value = self.sums[corrid]
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", value)]))
        return responses
"""

# Adds up in a state that the server keeps.
STATE = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            value, total = (
                pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("INPUT0", "TOTAL")
            )
            total += value
            outputs = [pb_utils.Tensor("OUTPUT0", total), pb_utils.Tensor("NEW_TOTAL", total)]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
"""

# Executes a request as often as it says.
COUNTDOWN = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.done = {}

    def execute(self, requests):
        responses = []
        for request in requests:
            times = self.done.get(request.correlation_id(), 0) + 1
            if times < pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy().flat[0]:
                self.done[request.correlation_id()] = times
                request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
                responses.append(None)
            else:
                self.done.pop(request.correlation_id(), None)
                output = pb_utils.Tensor("OUTPUT0", np.array([[times]], np.float32))
                responses.append(pb_utils.InferenceResponse([output]))
        return responses
"""

CONTROLS = """
control_input { name: "START" control { kind: CONTROL_SEQUENCE_START bool_false_true: [ false, true ] } }
control_input { name: "READY" control { kind: CONTROL_SEQUENCE_READY int32_false_true: [ 0, 1 ] } }
control_input { name: "CORRID" control { kind: CONTROL_SEQUENCE_CORRID data_type: %s } }
"""
TOTAL = """
state {
  input_name: "TOTAL" output_name: "NEW_TOTAL" data_type: TYPE_FP32 dims: [ 1 ]
  initial_state { name: "hundred" data_type: TYPE_FP32 dims: [ 1 ] data_file: "hundred" }
}
"""


# A busy machine may let a client wait for more than the second that is the default.
IDLE = "max_sequence_idle_microseconds: 20000000"


def config(batching: str, more: str = "") -> str:
    return (
        'backend: "python" max_batch_size: 4 input { name: "INPUT0" data_type: TYPE_FP32 dims: [ 1 ] } '
        'output { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 1 ] } '
        f"sequence_batching {{ {IDLE} {batching} }} {more}"
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[windlass.Server]:
    repository = Repository(tmp_path_factory.mktemp("models"))
    numbers, texts = CONTROLS % "TYPE_UINT64", CONTROLS % "TYPE_STRING"
    oldest = "oldest { max_candidate_sequences: 8 }"
    repository.add("oldest", SUMS, config(oldest + numbers, "instance_group { count: 2 }"))
    repository.add("direct", SUMS, config("direct {}" + numbers))
    repository.add("mortal", SUMS, config("direct {}" + numbers))
    repository.add("texts", SUMS, config(oldest + texts))
    folder = repository.add("state", STATE, config(oldest + TOTAL))
    (folder / "initial_state").mkdir()
    (folder / "initial_state" / "hundred").write_bytes(np.float32(100).tobytes())
    repository.add("countdown", COUNTDOWN, config(oldest + "iterative_sequence: true"))
    with windlass.Server(repository.path, http_port=0, grpc_port=0, metrics_port=0) as server:
        yield server


class Rest:
    """The HTTP client, asked for one number."""

    def __init__(self, server: windlass.Server) -> None:
        self.client = http_client.InferenceServerClient(server.addresses["http"])

    def ask(self, model: str, value: float, **options: object) -> float:
        given = http_client.InferInput("INPUT0", [1, 1], "FP32")
        given.set_data_from_numpy(np.array([[value]], np.float32))
        return float(self.client.infer(model, [given], **options).as_numpy("OUTPUT0")[0, 0])


class Rpc:
    """The gRPC client, asked for one number."""

    def __init__(self, server: windlass.Server) -> None:
        self.client = grpc_client.InferenceServerClient(server.addresses["grpc"])

    def ask(self, model: str, value: float, **options: object) -> float:
        given = grpc_client.InferInput("INPUT0", [1, 1], "FP32")
        given.set_data_from_numpy(np.array([[value]], np.float32))
        return float(self.client.infer(model, [given], **options).as_numpy("OUTPUT0")[0, 0])


@pytest.fixture(params=[Rest, Rpc])
def client(request, server):
    made = request.param(server)
    yield made
    made.client.close()


@pytest.mark.parametrize("model", ["oldest", "direct"])
def test_each_sequence_has_its_own_sum(client, model):
    assert client.ask(model, 1, sequence_id=5, sequence_start=True) == 1
    assert client.ask(model, 10, sequence_id=6, sequence_start=True) == 10
    assert client.ask(model, 2, sequence_id=5) == 3
    assert client.ask(model, 20, sequence_id=6, sequence_end=True) == 30
    assert client.ask(model, 3, sequence_id=5, sequence_end=True) == 6


def test_an_id_may_be_a_text(client):
    assert client.ask("texts", 1, sequence_id="left", sequence_start=True) == 1
    assert client.ask("texts", 5, sequence_id="right", sequence_start=True) == 5
    assert client.ask("texts", 2, sequence_id="left", sequence_end=True) == 3


@pytest.mark.parametrize("model", ["oldest", "direct"])
def test_many_interleaved_sequences_are_all_right(server, client, model):
    def talk(sequence: int) -> list[float]:
        # The HTTP client belongs to one thread.
        own = type(client)(server)
        # A generator of its own: another order in each thread, and the same one every time.
        values = [random.Random(sequence + step).randint(1, 100) for step in range(8)]
        sums = []
        for step, value in enumerate(values):
            options = {"sequence_start": step == 0, "sequence_end": step == 7}
            sums.append(own.ask(model, value, sequence_id=sequence, **options))
        own.client.close()
        return [found - sum(values[: step + 1]) for step, found in enumerate(sums)]

    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(talk, range(1, 49))) == [[0.0] * 8] * 48


@pytest.mark.parametrize(
    ("model", "options", "text"),
    [
        ("oldest", {}, "inference request to model 'oldest' must specify a non-zero or non-empty correlation ID"),
        (
            "oldest",
            {"sequence_id": 7},
            "inference request for sequence 7 to model 'oldest' must specify the START flag on the first request of "
            "the sequence",
        ),
        (
            "texts",
            {"sequence_id": "seven"},
            "inference request for sequence seven to model 'texts' must specify the START flag on the first request of "
            "the sequence",
        ),
        (
            "texts",
            {"sequence_id": "x" * 129, "sequence_start": True},
            "string correlation ID cannot be longer than 128 characters",
        ),
        (
            "oldest",
            {"sequence_id": "seven", "sequence_start": True, "request_id": "r"},
            "[request id: r] sequence batching control 'CORRID' data-type is 'BYTES', but model 'oldest' expects "
            "'UINT64'",
        ),
    ],
)
def test_a_request_that_fits_no_sequence_is_told_why(client, model, options, text):
    with pytest.raises(InferenceServerException) as refusal:
        client.ask(model, 1, **options)
    assert refusal.value.message() == text
    assert refusal.value.status() in {"400", "StatusCode.INVALID_ARGUMENT"}


def test_the_server_remembers_for_a_model_and_shows_it_to_nobody(server, client):
    assert client.ask("state", 1, sequence_id=5, sequence_start=True) == 101
    assert client.ask("state", 2, sequence_id=6, sequence_start=True) == 102
    assert client.ask("state", 3, sequence_id=5) == 104
    given = http_client.InferInput("INPUT0", [1, 1], "FP32")
    given.set_data_from_numpy(np.array([[1]], np.float32))
    rest = Rest(server)
    answer = rest.client.infer("state", [given], sequence_id=6, sequence_end=True).get_response()
    assert [output["name"] for output in answer["outputs"]] == ["OUTPUT0"]
    assert [tensor["name"] for tensor in rest.client.get_model_metadata("state")["inputs"]] == ["INPUT0"]


def test_an_iterative_request_is_executed_until_the_model_is_done(client):
    assert [client.ask("countdown", times) for times in (3, 1, 5)] == [3, 1, 5]


def test_a_request_that_never_ends_leaves_the_network_its_turn(repository):
    in_process = 'parameters { key: "isolated" value { string_value: "false" } }'
    repository.add("endless", COUNTDOWN, config("oldest {} iterative_sequence: true", in_process))
    with windlass.Server(repository.path, http_port=None, grpc_port=0, metrics_port=None) as server:
        client = grpc_client.InferenceServerClient(server.addresses["grpc"])
        given = grpc_client.InferInput("INPUT0", [1, 1], "FP32")
        given.set_data_from_numpy(np.array([[np.inf]], np.float32))
        ended: queue.Queue[object] = queue.Queue()
        call = client.async_infer("endless", [given], lambda result, error: ended.put(error))
        executed = 0
        while executed < 1000:
            (counts,) = client.get_inference_statistics("endless", client_timeout=20).model_stats
            executed = counts.execution_count
        call.cancel()
        assert isinstance(ended.get(timeout=20), InferenceServerException)
        client.close()


def test_a_stream_carries_a_sequence(server):
    answers: queue.Queue = queue.Queue()
    with grpc_client.InferenceServerClient(server.addresses["grpc"]) as client:
        try:
            client.start_stream(lambda result, error: answers.put((result, error)))
            for step in range(4):
                given = grpc_client.InferInput("INPUT0", [1, 1], "FP32")
                given.set_data_from_numpy(np.array([[step + 1]], np.float32))
                options = {"sequence_start": step == 0, "sequence_end": step == 3}
                client.async_stream_infer("oldest", [given], sequence_id=9, **options)
            found = [answers.get(timeout=20) for _ in range(4)]
        finally:
            client.stop_stream()
    assert [error for _, error in found] == [None] * 4
    assert [float(result.as_numpy("OUTPUT0")[0, 0]) for result, _ in found] == [1, 3, 6, 10]


def test_a_process_that_dies_ends_its_sequences_and_their_clients_are_told(server):
    rest = Rest(server)
    assert rest.ask("mortal", 1, sequence_id=5, sequence_start=True) == 1
    assert rest.ask("mortal", 2, sequence_id=6, sequence_start=True) == 2

    with pytest.raises(InferenceServerException):
        rest.ask("mortal", -1, sequence_id=5)

    for sequence in (5, 6):
        with pytest.raises(InferenceServerException, match=f"sequence {sequence} of model 'mortal' ended early"):
            rest.ask("mortal", 1, sequence_id=sequence)
    assert rest.ask("mortal", 7, sequence_id=5, sequence_start=True) == 7


def test_the_server_says_that_it_knows_sequences(server):
    assert "sequence" in Rest(server).client.get_server_metadata()["extensions"]
