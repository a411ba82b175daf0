"""Answers that are kept: asked again, a question never reaches the model."""

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client

from windlass import Client

COUNTING = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.count = 0

    def execute(self, requests):
        responses = []
        for request in requests:
            self.count += 1
            words = pb_utils.get_input_tensor_by_name(request, "WORDS").as_numpy()
            count = np.full(words.shape, self.count, np.float32)
            outputs = [pb_utils.Tensor("COUNT", count), pb_utils.Tensor("ECHO", words)]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
"""

CONFIG = """
backend: "python" max_batch_size: 8 response_cache { enable: true } dynamic_batching {}
parameters { key: "isolated" value { string_value: "false" } }
input { name: "WORDS" data_type: TYPE_STRING dims: [ -1 ] }
output { name: "COUNT" data_type: TYPE_FP32 dims: [ -1 ] }
output { name: "ECHO" data_type: TYPE_STRING dims: [ -1 ] }
"""


@pytest.fixture
def counting(repository, serve):
    repository.add("counting", COUNTING, CONFIG)
    return lambda **settings: serve(**{"cache_bytes": 1 << 20, **settings})


def ask(client: Client, *words: str) -> float:
    answer = client.infer("counting", {"WORDS": np.array([words], np.object_)})
    assert [element.decode() for element in answer["ECHO"][0]] == list(words)
    return float(answer["COUNT"][0, 0])


def test_a_question_that_was_asked_before_does_not_reach_the_model(counting):
    server = counting()
    with Client(server.url()) as client:
        assert [ask(client, "a", "b"), ask(client, "a", "b"), ask(client, "ab", ""), ask(client, "a", "b")] == [
            1,
            1,
            2,
            1,
        ]
    with http_client.InferenceServerClient(server.addresses["http"]) as rest:
        stats = rest.get_inference_statistics("counting")["model_stats"][0]
    counts = {name: total["count"] for name, total in stats["inference_stats"].items()}
    assert (stats["inference_count"], stats["execution_count"]) == (2, 2)
    assert (counts["success"], counts["queue"], counts["compute_infer"]) == (4, 4, 2)
    assert (counts["cache_hit"], counts["cache_miss"]) == (2, 2)
    assert stats["inference_stats"]["cache_hit"]["ns"] > 0
    with grpc_client.InferenceServerClient(server.addresses["grpc"]) as rpc:
        found = rpc.get_inference_statistics("counting").model_stats[0].inference_stats
    assert (found.cache_hit.count, found.cache_miss.count) == (2, 2)


def test_an_answer_of_fewer_outputs_is_another_answer(counting):
    server = counting()
    words = http_client.InferInput("WORDS", [1, 1], "BYTES")
    words.set_data_from_numpy(np.array([["a"]], np.object_))
    with http_client.InferenceServerClient(server.addresses["http"]) as rest:
        part = rest.infer("counting", [words], outputs=[http_client.InferRequestedOutput("COUNT")])
        whole = rest.infer("counting", [words], request_id="seven")
    assert part.as_numpy("ECHO") is None
    assert whole.as_numpy("ECHO").tolist() == [[b"a"]]
    assert whole.get_response()["id"] == "seven"


def test_a_model_that_is_loaded_again_forgets(counting, repository):
    server = counting(control_mode="explicit", models=("*",))
    with Client(server.url()) as client, http_client.InferenceServerClient(server.addresses["http"]) as rest:
        assert ask(client, "a") == 1
        source = repository.path / "counting" / "1" / "model.py"
        source.write_text(source.read_text().replace("self.count = 0", "self.count = 10"))
        rest.load_model("counting")
        assert ask(client, "a") == 11


def test_answers_that_no_longer_fit_make_room_for_new_ones(counting):
    with Client(counting(cache_bytes=2000).url()) as client:
        assert ask(client, "a") == 1
        for index in range(20):
            ask(client, f"word {index}")
        assert ask(client, "word 19") == 21, "kept just now"
        assert ask(client, "a") == 22, "gone long ago"


def test_without_a_cache_in_the_server_every_question_is_executed(counting):
    with Client(counting(cache_bytes=0).url()) as client:
        assert [ask(client, "a"), ask(client, "a")] == [1, 2]
