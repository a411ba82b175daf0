"""Requests as bytes: what other people's libraries read of them."""

import json

import ml_dtypes
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from windlass.bench.wire import encode
from windlass.errors import UsageError

INPUTS = {
    "image": np.arange(6, dtype=np.float32).reshape(2, 3),
    "words": np.array([[b"a", "höher".encode()]], dtype=object),
    "large": np.array([1 << 40], np.int64),
    "scalar": np.array(True),
}


def test_grpc_is_the_message_of_the_protocol():
    message = service_pb2.ModelInferRequest()
    message.ParseFromString(encode("grpc", "resnet", "2", INPUTS | {"long": np.zeros((1, 300), np.uint8)}).body)

    assert (message.model_name, message.model_version) == ("resnet", "2")
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in message.inputs] == [
        ("image", "FP32", [2, 3]),
        ("words", "BYTES", [1, 2]),
        ("large", "INT64", [1]),
        ("scalar", "BOOL", []),
        ("long", "UINT8", [1, 300]),
    ]
    assert np.frombuffer(message.raw_input_contents[0], np.float32).tolist() == [0, 1, 2, 3, 4, 5]
    assert message.raw_input_contents[1] == b"\x01\0\0\0a" + b"\x06\0\0\0" + "höher".encode()
    assert len(message.raw_input_contents) == 5


def test_json_is_plain():
    request = encode("json", "resnet", "", INPUTS)

    assert request.headers == {"Content-Type": "application/json"}
    told = {tensor["name"]: tensor for tensor in json.loads(request.body)["inputs"]}
    assert told["image"] == {"name": "image", "shape": [2, 3], "datatype": "FP32", "data": [0, 1, 2, 3, 4, 5]}
    assert told["words"]["data"] == ["a", "höher"]


@pytest.mark.parametrize(
    "array", [np.zeros(2, np.float16), np.zeros(2, ml_dtypes.bfloat16), np.array([b"\xff"], object)]
)
def test_what_json_cannot_carry_is_refused(array):
    with pytest.raises(UsageError, match="input `x`: .* not travel as JSON"):
        encode("json", "resnet", "", {"x": array})


def test_binary_tensors_follow_the_json_whose_length_is_told():
    request = encode("rest", "resnet", "", {"image": INPUTS["image"]})

    length = int(request.headers["Inference-Header-Content-Length"])
    assert json.loads(request.body[:length])["inputs"][0]["parameters"] == {"binary_data_size": 24}
    assert request.body[length:] == INPUTS["image"].tobytes()
