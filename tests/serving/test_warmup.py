"""Requests that instances execute before clients do."""

import json

import numpy as np
import pytest
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException

from windlass import Client

# Tells what it was asked so far: for every batch, the tensors of every request.
DIARY = """
import json
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.name = args["model_instance_name"]
        self.batches = []

    def execute(self, requests):
        self.batches.append([
            {tensor.name(): [list(tensor.as_numpy().shape), tensor.as_numpy().astype(str).ravel().tolist()]
             for tensor in request.inputs()}
            for request in requests
        ])
        responses = []
        for request in requests:
            if (pb_utils.get_input_tensor_by_name(request, "x").as_numpy() == b"13").any():
                responses.append(pb_utils.InferenceResponse(error=pb_utils.TritonError("thirteen")))
                continue
            said = np.array([[json.dumps([self.name, self.batches])]], np.object_)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("said", said)]))
        return responses
"""

CONFIG = """
backend: "python" max_batch_size: 4
input {{ name: "x" data_type: TYPE_{data_type} dims: [ 2 ] }}
output {{ name: "said" data_type: TYPE_STRING dims: [ 1 ] }}
instance_group {{ kind: KIND_CPU count: {count} }}
parameters {{ key: "isolated" value {{ string_value: "{isolated}" }} }}
{samples}
"""


def sample(data: str, name: str = "w", data_type: str = "FP32", more: str = "") -> str:
    value = f"{{ data_type: TYPE_{data_type} dims: [ 2 ] {data} }}"
    return f'model_warmup {{ name: "{name}" batch_size: 1 {more} inputs {{ key: "x" value {value} }} }}'


@pytest.fixture(params=["true", "false"], ids=["isolated", "in the server"])
def add(request, repository):
    def add(*samples: str, data_type: str = "FP32", count: int = 1, **files: bytes) -> None:
        values = {"data_type": data_type, "count": count, "isolated": request.param, "samples": "\n".join(samples)}
        folder = repository.add("diary", DIARY, CONFIG.format(**values))
        (folder / "warmup").mkdir()
        for name, data in files.items():
            (folder / "warmup" / name).write_bytes(data)

    return add


def ask(server, data_type=np.float32) -> tuple[str, list[list[dict[str, list]]]]:
    """What the instance that answers was asked before."""
    with Client(server.url()) as client:
        name, batches = json.loads(client.infer("diary", {"x": np.ones((1, 2), data_type)})["said"][0, 0])
    return name, batches[:-1]


def test_zeros_and_a_file_come_before_the_first_client(add, serve):
    given = np.array([1.5, -2], np.float32)
    add(sample("zero_data: true"), sample('input_data_file: "given"'), given=given.tobytes())

    _, batches = ask(serve())

    assert batches == [[{"x": [[1, 2], ["0.0", "0.0"]]}], [{"x": [[1, 2], ["1.5", "-2.0"]]}]]


def test_random_numbers_are_numbers(add, serve):
    add(sample("random_data: true"))

    _, [[request]] = ask(serve())

    assert all(np.isfinite(float(number)) and float(number) != 0 for number in request["x"][1])


def test_strings_come_empty_or_from_a_file(add, serve):
    file = b"".join(len(word).to_bytes(4, "little") + word for word in (b"ab", b"c"))
    add(
        sample("random_data: true", data_type="STRING"),
        sample('input_data_file: "words"', data_type="STRING"),
        data_type="STRING",
        words=file,
    )
    server = serve()

    with http_client.InferenceServerClient(server.addresses["http"]) as client:
        words = http_client.InferInput("x", [1, 2], "BYTES")
        words.set_data_from_numpy(np.array([["d", "e"]], np.object_))
        _, batches = json.loads(client.infer("diary", [words]).as_numpy("said")[0, 0])

    assert [batch[0]["x"][1] for batch in batches[:-1]] == [["", ""], ["ab", "c"]]


def test_a_sample_makes_batches_as_large_and_as_many_as_it_says(add, serve):
    add(sample("zero_data: true", more="count: 3").replace("batch_size: 1", "batch_size: 4"))
    server = serve()

    _, batches = ask(server)

    assert [len(batch) for batch in batches] == [4, 4, 4]
    with http_client.InferenceServerClient(server.addresses["http"]) as client:
        [stats] = client.get_inference_statistics("diary")["model_stats"]
    assert (stats["inference_count"], stats["execution_count"]) == (13, 4)


def test_every_instance_warms_up(add, serve):
    add(sample("zero_data: true"), count=3)

    server = serve()

    with http_client.InferenceServerClient(server.addresses["http"]) as client:
        [stats] = client.get_inference_statistics("diary")["model_stats"]
    assert stats["execution_count"] == 3
    assert len(ask(server)[1]) == 1


def test_a_sample_is_reshaped_like_a_request(repository, serve):
    config = CONFIG.replace("dims: [ 2 ] }}", "dims: [ 2 ] reshape {{ shape: [ 1, 2 ] }} }}", 1)
    values = {"data_type": "FP32", "count": 1, "isolated": "true", "samples": sample("zero_data: true")}
    repository.add("diary", DIARY, config.format(**values))

    _, [[request]] = ask(serve())

    assert request["x"][0] == [1, 1, 2]


@pytest.mark.parametrize(
    ("data", "files", "reason"),
    [
        ('input_data_file: "nope"', {}, "failed to open text file for read"),
        ('input_data_file: "short"', {"short": b"1234"}, "warmup setting expects 8 bytes"),
        ("", {}, "warmup setting expects input 'x' to have input_data_type set"),
    ],
)
def test_a_sample_without_its_data_fails_the_load(add, serve, data, files, reason):
    add(sample(data), **files)
    server = serve(control_mode="explicit")

    with http_client.InferenceServerClient(server.addresses["http"]) as client:
        with pytest.raises(InferenceServerException, match=reason):
            client.load_model("diary")
        assert not client.is_model_ready("diary")


def test_a_model_that_fails_a_sample_does_not_take_the_place_of_the_one_before(add, serve, repository):
    add(sample("zero_data: true", data_type="STRING"), data_type="STRING", bad=b"\x02\0\0\x0013" * 2)
    server = serve(control_mode="explicit")
    with http_client.InferenceServerClient(server.addresses["http"]) as client:
        client.load_model("diary")
        config = repository.path / "diary" / "config.pbtxt"
        config.write_text(config.read_text().replace("zero_data: true", 'input_data_file: "bad"'))

        with pytest.raises(InferenceServerException, match="failed to run warmup sample 'w': thirteen; ;"):
            client.load_model("diary")

        assert client.is_model_ready("diary")
        (repository.path / "diary" / "warmup" / "bad").write_bytes(b"\x02\0\0\x0012" * 2)
        client.load_model("diary")
        [stats] = client.get_inference_statistics("diary")["model_stats"]
    assert stats["inference_count"] == 1, "the second version warmed up, and nobody asked it anything"


SEQUENCES = """
sequence_batching {
  control_input { name: "start" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }
  state { input_name: "before" output_name: "after" data_type: TYPE_INT32 dims: [ 1 ] }
}
"""


def test_every_sample_is_a_sequence_where_the_model_has_them(add, serve):
    add(sample("zero_data: true"), SEQUENCES)
    server = serve()

    with http_client.InferenceServerClient(server.addresses["http"]) as client:
        x = http_client.InferInput("x", [1, 2], "FP32")
        x.set_data_from_numpy(np.ones((1, 2), np.float32))
        answer = client.infer("diary", [x], sequence_id=7, sequence_start=True, sequence_end=True)
        _, batches = json.loads(answer.as_numpy("said")[0, 0])

    assert batches[0] == [{"x": [[1, 2], ["0.0", "0.0"]], "start": [[1, 1], ["1"]], "before": [[1, 1], ["0"]]}]
