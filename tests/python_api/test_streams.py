"""Decoupled models, requests that are executed again, and clients that go away."""

import json
import threading
import time
from collections.abc import Callable

import httpx
import numpy as np
import pytest


def numbers(*values: int, delay: int = 0) -> dict[str, np.ndarray]:
    return {"IN": np.array(values, np.int32), "DELAY": np.full(len(values), delay, np.uint32)}


def until(holds: Callable[[], bool]) -> None:
    patience = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < patience, "it never happened"
        time.sleep(0.01)


def test_a_decoupled_model_answers_as_often_as_it_likes(models):
    served = models("repeat")

    assert served.stream("repeat", **numbers(3, 1, 2)) == [[3], [1], [2]]
    assert served.stream("repeat", **numbers(1)) == [[1]]
    assert served.stream("repeat", **numbers(1, -5, 2)) == [[1], "-5 is negative", [2]]


def test_a_model_may_give_no_answer_at_all(models):
    served = models("repeat")

    assert served.stream("repeat", IN=np.zeros(0, np.int32), DELAY=np.zeros(0, np.uint32)) == []


def test_many_streams_go_on_beside_each_other(models):
    served = models("repeat")
    answers: dict[int, int] = {}

    def ask(number: int) -> None:
        url = f"{served.server.url()}/v2/models/repeat/generate_stream"
        with httpx.stream("POST", url, json={"IN": [number] * 20, "DELAY": [1] * 20}, timeout=30) as response:
            said = [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]
        answers[number] = sum(answer["OUT"] == number for answer in said)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10, 18)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == dict.fromkeys(range(10, 18), 20)


def test_a_client_that_goes_away_is_noticed(models):
    served = models("patient")
    url = f"{served.server.url()}/v2/models/patient/infer"
    x = {"name": "x", "shape": [1], "datatype": "FP32", "data": [0]}

    with httpx.Client(timeout=httpx.Timeout(10, read=0.3)) as client, pytest.raises(httpx.ReadTimeout):
        client.post(url, json={"inputs": [x]})

    note = served.folder / "patient" / "ended"
    until(lambda: note.exists() and note.read_text() != "")
    assert note.read_text() == "cancelled"


def test_a_client_that_leaves_a_stream_ends_its_answers(models):
    served = models("repeat")
    url = f"{served.server.url()}/v2/models/repeat/generate_stream"

    with httpx.stream("POST", url, json={"IN": [1] * 2000, "DELAY": [5] * 2000}) as response:
        next(response.iter_lines())

    # Its thread says goodbye only when it has noticed; ten seconds of answers are left.
    began = time.monotonic()
    served.server.stop()
    assert time.monotonic() - began < 5


def test_a_request_may_be_executed_again_and_again(models):
    served = models("countdown")

    assert served.stream("countdown", **{"from": np.array([[3]], np.int32)}) == [[3], [2], [1], [0]]


def test_a_request_may_be_put_back_before_it_is_answered(models):
    served = models("again")

    for _ in range(3):
        assert served.ask("again", x=np.array([[1]], np.int32))["times"].tolist() == [[3]]
