"""Requests find the service that has the model; what is not for those outside does not pass."""

import http.client
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

INPUT = {"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [3], "data": [0, 0, 0]}]}
IMAGES = {"windlass-service": "images"}


@pytest.fixture(scope="module")
def plain(gateway):
    return gateway("gateway: {max_body: 64KiB}")


@pytest.fixture
def client(plain) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{plain.rest}") as opened:
        yield opened


@pytest.fixture
def calls(plain) -> Iterator[service_pb2_grpc.GRPCInferenceServiceStub]:
    with grpc.insecure_channel(plain.grpc) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def question(size: int = 3) -> list[triton.InferInput]:
    tensor = triton.InferInput("INPUT0", [size], "FP32")
    tensor.set_data_from_numpy(np.zeros(size, dtype=np.float32))
    return [tensor]


@pytest.mark.parametrize("path", ["/v2/models/echo/infer", "/v2/models/echo/versions/1/infer"])
def test_a_request_reaches_the_server_of_its_model(client, path):
    answer = client.post(path, json=INPUT)

    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["data"] == [1, 1, 1]


def test_what_is_told_about_models_is_told_by_their_servers(client):
    assert client.get("/v2/models/echo").json()["name"] == "echo"
    assert client.get("/v2/models/story/config").json()["name"] == "story"
    assert client.get("/v2/models/echo/ready").status_code == 200
    assert client.get("/services/texts/ready").status_code == 200


def test_the_plain_path_reaches_the_server_too(client):
    assert client.post("/predict/echo", json={"INPUT0": [0, 0]}).json() == {"OUTPUT0": [1.0, 1.0]}


def test_errors_of_servers_pass_as_they_are(client):
    answer = client.post("/v2/models/echo/infer", json={"inputs": []})

    assert answer.status_code == 400
    assert "expected 1 inputs but got 0" in answer.json()["error"]


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "/v2/repository/index"),
        ("POST", "/v2/repository/models/echo/unload"),
        ("GET", "/v2/logging"),
        ("GET", "/v2/trace/setting"),
        ("GET", "/v2/models/echo/trace/setting"),
        ("GET", "/v2/systemsharedmemory/status"),
        ("GET", "/metrics"),
        ("GET", "/v2/models/other"),
        ("GET", "/"),
    ],
)
def test_what_is_not_for_those_outside_leads_nowhere(client, method, path):
    answer = client.request(method, path)

    assert answer.status_code == 404
    assert answer.json() == {"error": "no service has this model or path"}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/echo/../../repository/index",
        "/v2/repository/../models/echo/ready",
        "/v2/models/echo%2Fready",
        "/v2//models/echo",
        "/v2/models/%2e%2e/echo",
    ],
)
def test_paths_that_two_programs_could_read_differently_are_refused(plain, path):
    # Other clients put such paths right themselves.
    connection = http.client.HTTPConnection(plain.rest)
    connection.request("GET", path)
    answer = connection.getresponse()

    assert answer.status == 400
    assert json.load(answer) == {"error": "the request cannot be read"}
    connection.close()


def test_a_body_that_is_too_large_is_refused(client):
    answer = client.post("/v2/models/echo/infer", content=b" " * 70_000)

    assert answer.status_code == 413
    assert answer.json() == {"error": "the request is larger than the gateway takes"}


def test_the_gateway_tells_browsers_to_leave_it_alone(client):
    headers = client.get("/health").headers

    assert headers["x-content-type-options"] == "nosniff"
    assert "nginx/" not in headers["server"]


def test_a_call_reaches_the_service_that_its_metadata_names(plain):
    with triton.InferenceServerClient(plain.grpc) as client:
        answer = client.infer("echo", question(), headers=IMAGES)

        assert answer.as_numpy("OUTPUT0").tolist() == [1, 1, 1]
        assert client.is_model_ready("story", headers={"windlass-service": "texts"})


def test_a_call_without_a_service_is_told_which_there_are(plain):
    with triton.InferenceServerClient(plain.grpc) as client, pytest.raises(InferenceServerException) as refused:
        client.infer("echo", question())

    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert "metadata windlass-service is one of images, texts" in refused.value.message()


def test_calls_that_are_not_for_those_outside_are_refused(calls):
    with pytest.raises(grpc.RpcError) as refused:
        calls.RepositoryIndex(service_pb2.RepositoryIndexRequest(), metadata=list(IMAGES.items()))

    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_message_that_is_too_large_is_refused(plain):
    with triton.InferenceServerClient(plain.grpc) as client, pytest.raises(InferenceServerException) as refused:
        client.infer("echo", question(20_000), headers=IMAGES)

    assert refused.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_where_there_is_one_service_it_gets_every_call(gateway):
    alone = gateway("services: {images: {models: ['*']}}\ngateway: {}")

    with triton.InferenceServerClient(alone.grpc) as client:
        assert client.is_server_ready()
        assert client.infer("echo", question()).as_numpy("OUTPUT0").tolist() == [1, 1, 1]
    assert httpx.get(f"http://{alone.rest}/v2").json()["name"] == "windlass"
    assert httpx.post(f"http://{alone.rest}/predict", json={"INPUT0": [0]}).json() == {"OUTPUT0": [1.0]}


@pytest.fixture(scope="module")
def chat(echo) -> Iterator[str]:
    """What vLLM would be: something that tells the path it was asked for."""

    class Told(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps({"path": self.path, "authorization": self.headers["Authorization"]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    address = f"{echo.address.rpartition('.')[0]}.200"
    server = ThreadingHTTPServer((address, 8000), Told)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield address
    server.shutdown()
    thread.join()
    server.server_close()


def test_language_models_have_the_paths_of_openai(gateway, chat):
    vllm = "{models: [], runtime: vllm, vllm: {model: a/b}}"
    both = gateway(f"services: {{images: {{models: [echo]}}, chat: {vllm}}}\ngateway: {{}}", chat=[chat])

    for path in ("/v1/chat/completions", "/services/chat/v1/chat/completions?a=b"):
        told = httpx.post(f"http://{both.rest}{path}", headers={"Authorization": "Bearer mine"}).json()

        assert told["path"].partition("?")[0] == "/v1/chat/completions"
        assert told["authorization"] is None
