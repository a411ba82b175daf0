"""What a model sends leaves the gateway as it comes."""

import json
import queue
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton


@pytest.fixture(scope="module")
def plain(gateway):
    return gateway("gateway: {}")


def test_events_arrive_while_the_model_is_at_work(plain, tmp_path):
    # The model sends its second answer when the first one was seen: held back, neither would ever come.
    go_on = tmp_path / "go-on"
    url = f"http://{plain.rest}/v2/models/story/generate_stream"
    with httpx.stream("POST", url, json={"GO_ON": str(go_on)}, timeout=30) as answer:
        texts = []
        for line in answer.iter_lines():
            if line.startswith("data: "):
                texts.append(json.loads(line.removeprefix("data: "))["TEXT"])
                go_on.touch()

    assert texts == ["first", "second"]


def test_answers_of_a_call_arrive_while_the_model_is_at_work(plain, tmp_path):
    go_on: Path = tmp_path / "go-on"
    answers: queue.Queue = queue.Queue()
    tensor = triton.InferInput("GO_ON", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([str(go_on)], dtype=object))

    with triton.InferenceServerClient(plain.grpc) as client:
        client.start_stream(lambda result, error: answers.put(error or result), headers={"windlass-service": "texts"})
        client.async_stream_infer("story", [tensor])
        first = answers.get(timeout=30)
        go_on.touch()
        second = answers.get(timeout=30)
        client.stop_stream()

    assert [one.as_numpy("TEXT")[0] for one in (first, second)] == [b"first", b"second"]
