"""What comes with a request besides its tensors: headers for the model, and fields that open restricted operations."""

import json

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client
from tritonclient.utils import InferenceServerException

PARAMETERS = """
import json
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        told = lambda request: np.array([[request.parameters().encode()]], np.object_)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("TOLD", told(request))]) for request in requests]
"""
CONFIG = """
backend: "python" max_batch_size: 8
input { name: "INPUT0" data_type: TYPE_FP32 dims: 1 }
output { name: "TOLD" data_type: TYPE_STRING dims: 1 }
parameters { key: "isolated" value { string_value: "%s" } }
"""
BODY = {"inputs": [{"name": "INPUT0", "shape": [1, 1], "datatype": "FP32", "data": [1]}]}


@pytest.mark.parametrize("isolated", ["true", "false"])
def test_headers_that_match_reach_the_model(repository, serve, isolated):
    repository.add("told", PARAMETERS, CONFIG % isolated)
    server = serve(http_header_forward_pattern="X-.*", grpc_header_forward_pattern="^my_")

    answer = httpx.post(f"{server.url()}/v2/models/told/infer", json=BODY, headers={"x-user": "7", "y-user": "8"})
    assert json.loads(answer.json()["outputs"][0]["data"][0]) == {"x-user": "7"}

    tensor = grpc_client.InferInput("INPUT0", [1, 1], "FP32").set_data_from_numpy(np.ones((1, 1), np.float32))
    with grpc_client.InferenceServerClient(server.url("grpc")) as client:
        result = client.infer("told", [tensor], headers={"my_user": "9", "other": "1"})
        assert json.loads(result.as_numpy("TOLD")[0][0]) == {"my_user": "9"}


def test_a_header_with_a_meaning_of_its_own_is_not_forwarded(repository, serve):
    repository.add_identity("echo")
    server = serve(http_header_forward_pattern=".*")
    answer = httpx.post(f"{server.url()}/v2/models/echo/infer", json=BODY, headers={"priority": "1"})
    assert answer.status_code == 400
    expected = "Header 'priority' is reserved for Triton usage and cannot be forwarded."
    assert answer.json() == {"error": expected}


def test_a_restricted_call_wants_its_metadata(repository, serve):
    repository.add_identity("echo")
    server = serve(grpc_restricted_protocol=("model-repository,inference:key=secret",))
    with grpc_client.InferenceServerClient(server.url("grpc")) as client:
        assert client.is_server_live()
        text = "This protocol is restricted, expecting header 'triton-grpc-protocol-key'"
        with pytest.raises(InferenceServerException, match=text) as refusal:
            client.get_model_repository_index()
        assert refusal.value.status() == "StatusCode.UNAVAILABLE"
        index = client.get_model_repository_index(headers={"triton-grpc-protocol-key": "secret"})
        assert [model.name for model in index.models] == ["echo"]


def test_a_restricted_operation_wants_its_header(repository, serve):
    repository.add_identity("echo")
    server = serve(http_restricted_api=("statistics:key=secret",))
    url = f"{server.url()}/v2/models/stats"
    assert httpx.get(url).status_code == 403
    assert httpx.get(url, headers={"key": "secret"}).status_code == 200
