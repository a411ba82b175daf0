"""The protocol as Triton's own clients speak it, over REST and gRPC, sync and asyncio."""

import json
import urllib.request
from collections.abc import Callable

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as http_client
import tritonclient.http.aio as http_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

import windlass
from windlass.errors import ServerError
from windlass.serving.grpc import GrpcSettings

Serve = Callable[..., windlass.Server]

DATA = {
    "BOOL": np.array([[True, False, True]]),
    "UINT8": np.array([[0, 7, 255]], np.uint8),
    "UINT16": np.array([[0, 7, 65535]], np.uint16),
    "UINT32": np.array([[0, 7, 2**32 - 1]], np.uint32),
    "UINT64": np.array([[0, 7, 2**64 - 1]], np.uint64),
    "INT8": np.array([[-128, 0, 127]], np.int8),
    "INT16": np.array([[-32768, 0, 32767]], np.int16),
    "INT32": np.array([[-(2**31), 0, 2**31 - 1]], np.int32),
    "INT64": np.array([[-(2**63), 0, 2**63 - 1]], np.int64),
    "FP16": np.array([[-1.5, 0, 65504]], np.float16),
    "FP32": np.array([[-1.5, 0.1, 3e38]], np.float32),
    "FP64": np.array([[-1.5, 0.1, 1e308]], np.float64),
    "BYTES": np.array([[b"", b"text", "\u00e9\u4e2d".encode()]], np.object_),
}

OUTPUT_WITH_LABELS = 'output { label_filename: "labels.txt" name: "OUTPUT0"'


def http_input(array: np.ndarray, binary: bool = True) -> http_client.InferInput:
    made = http_client.InferInput("INPUT0", list(array.shape), np_to_triton_dtype(array.dtype))
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def grpc_input(array: np.ndarray) -> grpc_client.InferInput:
    made = grpc_client.InferInput("INPUT0", list(array.shape), np_to_triton_dtype(array.dtype))
    made.set_data_from_numpy(array)
    return made


@pytest.fixture
def server(repository, serve: Serve) -> windlass.Server:
    repository.add_identity("echo", extra="dynamic_batching {}")
    return serve()


@pytest.fixture
def rest(server):
    with http_client.InferenceServerClient(server.addresses["http"]) as client:
        yield client


@pytest.fixture
def rpc(server):
    with grpc_client.InferenceServerClient(server.addresses["grpc"]) as client:
        yield client


def test_every_data_type_comes_back_as_it_went_over_both_protocols(repository, serve):
    names = {data_type: data_type.replace("BYTES", "STRING") for data_type in DATA}
    for data_type, config_name in names.items():
        repository.add_identity(data_type.lower(), config_name)
    server = serve()
    with (
        http_client.InferenceServerClient(server.addresses["http"]) as rest,
        grpc_client.InferenceServerClient(server.addresses["grpc"]) as rpc,
    ):
        for data_type, array in DATA.items():
            model = data_type.lower()
            binary = rest.infer(model, [http_input(array)]).as_numpy("OUTPUT0")
            np.testing.assert_array_equal(binary, array, data_type)
            np.testing.assert_array_equal(rpc.infer(model, [grpc_input(array)]).as_numpy("OUTPUT0"), array, data_type)
            if data_type != "FP16":
                wanted = [http_client.InferRequestedOutput("OUTPUT0", binary_data=False)]
                answer = rest.infer(model, [http_input(array, binary=False)], outputs=wanted)
                texts = [item.decode() for item in array.ravel()] if data_type == "BYTES" else array.ravel()
                np.testing.assert_array_equal(answer.as_numpy("OUTPUT0").ravel(), texts, data_type)


def test_health_and_metadata(rest, rpc):
    for client in (rest, rpc):
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("echo")
        assert client.is_model_ready("echo", "1")
    assert rest.get_server_metadata()["name"] == rpc.get_server_metadata().name == "windlass"
    expected = {
        "name": "echo",
        "versions": ["1"],
        "platform": "python",
        "inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [-1, -1]}],
        "outputs": [{"name": "OUTPUT0", "datatype": "FP32", "shape": [-1, -1]}],
    }
    assert rest.get_model_metadata("echo") == expected
    assert list(rpc.get_model_metadata("echo").inputs[0].shape) == [-1, -1]


def test_configuration_shows_what_was_filled_in(rest, rpc):
    config = rest.get_model_config("echo")
    assert config["max_batch_size"] == 8
    assert config["dynamic_batching"]["preferred_batch_size"] == [8]
    assert config["input"][0]["dims"] == [-1]
    assert rpc.get_model_config("echo").config.instance_group[0].count == 1


def test_ids_and_selected_outputs_come_back(rest, rpc):
    array = DATA["FP32"]
    answer = rest.infer("echo", [http_input(array)], request_id="seven").get_response()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("seven", "echo", "1")
    answer = rpc.infer("echo", [grpc_input(array)], request_id="seven").get_response()
    assert (answer.id, answer.model_name, answer.model_version) == ("seven", "echo", "1")


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compression_in_both_directions(rest, rpc, algorithm):
    array = np.zeros((8, 1000), np.float32)
    answer = rest.infer(
        "echo",
        [http_input(array)],
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    np.testing.assert_array_equal(answer.as_numpy("OUTPUT0"), array)
    answer = rpc.infer("echo", [grpc_input(array)], compression_algorithm=algorithm)
    np.testing.assert_array_equal(answer.as_numpy("OUTPUT0"), array)


@pytest.mark.parametrize("level", ["low", "medium", "high"])
def test_answers_are_compressed_as_the_server_is_told(repository, serve, level):
    repository.add_identity("echo")
    server = serve(grpc=GrpcSettings(compression_level=level))
    array = np.zeros((1, 100_000), np.float32)

    with grpc_client.InferenceServerClient(server.addresses["grpc"]) as rpc:
        for algorithm in (None, "gzip", "deflate"):
            given = grpc_client.InferInput("INPUT0", array.shape, "FP32").set_data_from_numpy(array)
            answer = rpc.infer("echo", [given], compression_algorithm=algorithm)
            np.testing.assert_array_equal(answer.as_numpy("OUTPUT0"), array)


def test_a_level_of_compression_that_is_none_is_refused(repository):
    server = windlass.Server(repository.path, grpc_port=0, grpc=GrpcSettings(compression_level="most"))

    with pytest.raises(ServerError, match="`most`: expected none, low, medium or high"):
        server.start()


def test_statistics_count_what_happened(rest, rpc):
    for _ in range(3):
        rest.infer("echo", [http_input(np.zeros((2, 3), np.float32))])
    stats = rest.get_inference_statistics("echo")["model_stats"][0]
    assert (stats["inference_count"], stats["execution_count"]) == (6, 3)
    assert stats["inference_stats"]["success"]["count"] == 3
    assert stats["batch_stats"][0]["batch_size"] == 2
    assert rpc.get_inference_statistics("echo").model_stats[0].inference_count == 6


async def test_the_asyncio_clients_work_too(server):
    array = DATA["FP32"]
    async with http_aio.InferenceServerClient(server.addresses["http"]) as rest:
        assert await rest.is_server_ready()
        np.testing.assert_array_equal((await rest.infer("echo", [http_input(array)])).as_numpy("OUTPUT0"), array)
    async with grpc_aio.InferenceServerClient(server.addresses["grpc"]) as rpc:
        assert await rpc.is_server_ready()
        np.testing.assert_array_equal((await rpc.infer("echo", [grpc_input(array)])).as_numpy("OUTPUT0"), array)


BAD = {
    "unknown model": ("nope", DATA["FP32"], "Request for unknown model: 'nope' is not found"),
    "wrong type": (
        "echo",
        DATA["INT32"],
        "inference input 'INPUT0' data-type is 'INT32', but model 'echo' expects 'FP32'",
    ),
    "wrong shape": ("echo", np.zeros(3, np.float32).reshape(1, 1, 3), "Expected [-1,-1], got [1,1,3]"),
    "large batch": ("echo", np.zeros((9, 1), np.float32), "inference request batch-size must be <= 8 for 'echo'"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_client_s_mistake_is_told_alike_over_both_protocols(rest, rpc, case):
    model, array, text = BAD[case]
    with pytest.raises(InferenceServerException, match=".*") as over_rest:
        rest.infer(model, [http_input(array)])
    with pytest.raises(InferenceServerException, match=".*") as over_grpc:
        rpc.infer(model, [grpc_input(array)])
    assert text in over_rest.value.message()
    assert over_rest.value.message() == over_grpc.value.message()
    assert over_rest.value.status() in {"400", "404"}


def test_a_missing_input_is_named(rest):
    stranger = http_client.InferInput("OTHER", [1, 3], "FP32")
    stranger.set_data_from_numpy(DATA["FP32"])
    with pytest.raises(InferenceServerException, match="unexpected inference input 'OTHER' for model 'echo'"):
        rest.infer("echo", [stranger])


def post(server: windlass.Server, path: str, body: bytes) -> tuple[int, dict]:
    request = urllib.request.Request(f"{server.url('http')}{path}", data=body, method="POST")
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_plain_json_needs_no_protocol(server):
    assert post(server, "/predict", b'{"INPUT0": [[1, 2], [3, 4]]}') == (200, {"OUTPUT0": [[1.0, 2.0], [3.0, 4.0]]})
    assert post(server, "/predict/echo", b'{"INPUT0": [1, 2]}') == (200, {"OUTPUT0": [1.0, 2.0]})
    status, answer = post(server, "/predict/echo", b'{"INPUT": [1, 2]}')
    assert (status, answer["error"]) == (400, "unexpected inference input 'INPUT' for model 'echo', which has 'INPUT0'")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "failed to parse the request JSON buffer: The document is empty. at 0"),
        (b"{", "Missing a name for object member."),
        (b"{}", "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"),
        (b"[" * 200, "JSON nesting depth exceeds maximum allowed limit (100)"),
    ],
)
def test_malformed_json_is_the_client_s_fault(server, body, text):
    status, answer = post(server, "/v2/models/echo/infer", body)
    assert status == 400
    assert text in answer["error"]


def test_metrics_have_triton_s_names(server, rest):
    rest.infer("echo", [http_input(DATA["FP32"])])
    with urllib.request.urlopen(f"{server.url('metrics')}/metrics") as response:
        page = response.read().decode()
    assert 'nv_inference_request_success{model="echo",version="1"} 1' in page
    assert 'windlass_batch_size_bucket{model="echo",version="1",le="1"} 1' in page


def test_the_largest_elements_of_an_output_come_with_their_labels(repository, serve):
    folder = repository.add_identity("echo")
    config = (folder / "config.pbtxt").read_text().replace('output { name: "OUTPUT0"', OUTPUT_WITH_LABELS)
    (folder / "config.pbtxt").write_text(config)
    (folder / "labels.txt").write_text("cat\ndog\n")
    server = serve()
    array = np.array([[0.25, 4, 1.5], [3, 2, 1]], np.float32)
    expected = [[b"4.000000:1:dog", b"1.500000:2"], [b"3.000000:0:cat", b"2.000000:1:dog"]]
    for binary in (True, False):
        with http_client.InferenceServerClient(server.addresses["http"]) as rest:
            wanted = [http_client.InferRequestedOutput("OUTPUT0", binary_data=binary, class_count=2)]
            found = rest.infer("echo", [http_input(array)], outputs=wanted).as_numpy("OUTPUT0")
            assert [
                [bytes(text, "utf-8") if isinstance(text, str) else text for text in row] for row in found
            ] == expected
    with grpc_client.InferenceServerClient(server.addresses["grpc"]) as rpc:
        wanted = [grpc_client.InferRequestedOutput("OUTPUT0", class_count=2)]
        assert rpc.infer("echo", [grpc_input(array)], outputs=wanted).as_numpy("OUTPUT0").tolist() == expected
