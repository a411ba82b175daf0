"""Streams by clients: `generate`, `generate_stream` and `ModelStreamInfer`, over models in both kinds of process."""

import asyncio
import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio
from tritonclient.utils import InferenceServerException

import windlass
from conftest import Repository

# Says each word; some are more than that. `wait:FILE` waits until the client is gone or the file there; it notes which.
TELLS = """
import os
import threading
import time
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils


def said(word):
    return pb_utils.InferenceResponse([pb_utils.Tensor("SAID", np.array([word], dtype=object))])


def wait(file, is_cancelled):
    while not (is_cancelled() or Path(file).exists()):
        time.sleep(0.002)
    Path(file + ".seen").write_text("gone" if is_cancelled() else "there")


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            words = [word.decode() for word in pb_utils.get_input_tensor_by_name(request, "WORDS").as_numpy()]
            threading.Thread(target=self.tell, args=(request.get_response_sender(), words)).start()

    def tell(self, sender, words):
        for word in words:
            kind, _, rest = word.partition(":")
            if kind == "wait":
                wait(rest, sender.is_cancelled)
            elif kind == "count":
                for number in range(int(rest)):
                    sender.send(said(str(number)))
            elif kind == "fail":
                error = pb_utils.TritonError(rest, pb_utils.TritonError.NOT_FOUND)
                sender.send(pb_utils.InferenceResponse(error=error))
            elif kind == "end":
                os._exit(1)
            else:
                sender.send(said(word))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

# Answers each request once, after all it has to wait for.
WAITS = (
    TELLS[: TELLS.index("class")]
    + """
class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        words = [word.decode() for word in pb_utils.get_input_tensor_by_name(request, "WORDS").as_numpy()]
        for word in words:
            if word.startswith("wait:"):
                Path(word[5:] + ".reached").touch()
                wait(word[5:], request.is_cancelled)
        return said(words[-1])
"""
)

# Gives one answer an execution, and asks for another, as often as it is told. `fail` fails the second execution.
ITERATES = (
    TELLS[: TELLS.index("class")]
    + """
class TritonPythonModel:
    def initialize(self, args):
        self.given = {}

    def execute(self, requests):
        for request in requests:
            count, note = pb_utils.get_input_tensor_by_name(request, "WORDS").as_numpy().ravel()[:2]
            given = self.given.pop(request.correlation_id(), 0) + 1
            if count == b"fail" and given == 2:
                raise ValueError("not again")
            sender = request.get_response_sender()
            if sender.is_cancelled() and request.is_cancelled() and note:
                Path(note.decode()).write_text("gone")
            last = count != b"fail" and given >= int(count or 0)
            word = np.array([[str(given)]], dtype=object)
            sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("SAID", word)]), flags=int(last))
            if not last:
                self.given[request.correlation_id()] = given
                request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
"""
)

IO = """
input { name: "WORDS" data_type: TYPE_STRING dims: -1 }
output { name: "SAID" data_type: TYPE_STRING dims: 1 }
"""
OUTSIDE = """
platform: "ensemble"
ensemble_scheduling { step {
  model_name: "tells" model_version: -1
  input_map { key: "WORDS" value: "WORDS" } output_map { key: "SAID" value: "SAID" }
} }
"""

Answered = tuple[str | None, str | None, bool | None]


class Site:
    """A server with the models of this file, and where they leave their notes."""

    def __init__(self, server: windlass.Server, notes: Path, isolated: bool) -> None:
        self.url, self.grpc, self.metrics = server.url(), server.addresses["grpc"], server.addresses["metrics"]
        self.notes, self.isolated = notes, isolated

    def post(self, model: str, operation: str, *words: str, **members: Any) -> httpx.Response:
        return httpx.post(self.path(model, operation), json={"WORDS": words, **members}, timeout=20)

    def path(self, model: str, operation: str) -> str:
        return f"{self.url}/v2/models/{model}/{operation}"

    def statistics(self, model: str) -> Any:
        return httpx.get(self.path(model, "stats")).json()["model_stats"][0]

    def waiting(self, model: str) -> int:
        """How many requests wait in the queue of a model."""
        page = httpx.get(f"http://{self.metrics}/metrics").text
        return int(page.split(f'nv_inference_pending_request_count{{model="{model}",version="1"}} ')[1].split()[0])

    def seen(self, name: str) -> str:
        """What a model noted that waited."""
        note = self.notes / f"{name}.seen"
        until(lambda: note.exists() and note.read_text() != "")
        return note.read_text()


@pytest.fixture(params=["isolated", "here"], scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[windlass.Server, bool]]:
    isolated = request.param == "isolated"
    repository = Repository(tmp_path_factory.mktemp("models"))
    where = "" if isolated else 'parameters { key: "isolated" value { string_value: "false" } }'
    python = f'backend: "python" instance_group {{ kind: KIND_CPU }} {IO} {where}'
    repository.add("tells", TELLS, python + "model_transaction_policy { decoupled: true }")
    repository.add("waits", WAITS, python)
    again = (
        "max_batch_size: 4 model_transaction_policy { decoupled: true } sequence_batching { iterative_sequence: true }"
    )
    repository.add("iterates", ITERATES, python + again)
    (repository.path / "outside" / "1").mkdir(parents=True)
    (repository.path / "outside" / "config.pbtxt").write_text(OUTSIDE + IO)
    with windlass.Server(repository.path, http_port=0, grpc_port=0, metrics_port=0) as started:
        yield started, isolated


@pytest.fixture
def site(server: tuple[windlass.Server, bool], tmp_path: Path) -> Site:
    started, isolated = server
    return Site(started, tmp_path, isolated)


@pytest.fixture
def stream(site: Site) -> Iterator["Stream"]:
    with Stream(site) as opened:
        yield opened


class Stream:
    """One gRPC stream of Triton's own client."""

    def __init__(self, site: Site) -> None:
        self.client = grpc_client.InferenceServerClient(site.grpc)
        self.answers: queue.Queue[tuple[Any, Any]] = queue.Queue()

    def __enter__(self) -> "Stream":
        self.client.start_stream(lambda result, error: self.answers.put((result, error)))
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def ask(self, model: str, *words: str, **options: Any) -> None:
        self.client.async_stream_infer(model, [tensor(*words)], **options)

    def next(self) -> Answered:
        """Return the next answer: its id, what it says or why it failed, and whether it is the last."""
        result, error = self.answers.get(timeout=20)
        if error is not None:
            return None, error.message(), None
        response = result.get_response()
        said = result.as_numpy("SAID")
        return (
            response.id,
            None if said is None else said[0].decode(),
            response.parameters["triton_final_response"].bool_param,
        )


def tensor(*words: str) -> Any:
    given = grpc_client.InferInput("WORDS", [len(words)], "BYTES")
    given.set_data_from_numpy(np.array(words, dtype=object))
    return given


def until(holds: Callable[[], bool]) -> None:
    patience = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < patience, "it never happened"
        time.sleep(0.005)


def events(text: str) -> list[Any]:
    return [json.loads(event.removeprefix("data: ")) for event in text.split("\n\n") if event]


def said(word: str, model: str = "tells") -> dict[str, object]:
    return {"SAID": word, "model_name": model, "model_version": "1"}


def test_one_answer_is_an_object(site):
    assert site.post("waits", "generate", "a", "b").json() == said("b", "waits")
    assert site.post("tells", "generate", "a", id="7").json() == {**said("a"), "id": "7"}


def test_any_number_of_answers_are_events(site):
    answer = site.post("tells", "generate_stream", "a", "fail:not so", "b")

    assert events(answer.text) == [said("a"), {"error": "not so"}, said("b")]
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert events(site.post("waits", "generate_stream", "a").text) == [said("a", "waits")]


def test_the_first_answer_tells_the_status(site):
    for operation in ("generate", "generate_stream"):
        assert site.post("tells", operation, "fail:not so").status_code == 404
    assert site.post("tells", "generate").status_code == 200
    assert "exactly 1 response" in site.post("tells", "generate", "a", "b").json()["error"]


def test_events_come_as_the_model_tells_them(site):
    body = {"WORDS": ["a", f"wait:{site.notes}/gate", "b"]}
    with httpx.stream("POST", site.path("tells", "generate_stream"), json=body, timeout=20) as response:
        lines = (line for line in response.iter_lines() if line)
        assert events(next(lines)) == [said("a")]

        (site.notes / "gate").touch()

        assert events(next(lines)) == [said("b")]
        assert next(lines, None) is None


def test_ensembles_stream_what_their_steps_do(site, stream):
    first, second = events(site.post("outside", "generate_stream", "a", "b").text)
    assert (first["SAID"], second["SAID"], first["model_name"]) == ("a", "b", "outside")

    stream.ask("outside", "a", "b", request_id="7", enable_empty_final_response=True)
    assert [stream.next() for _ in range(3)] == [("7", "a", False), ("7", "b", False), ("7", None, True)]


def test_answers_and_errors_share_a_stream(stream):
    stream.ask("tells", "a", "fail:not so", "b", request_id="1")
    assert [stream.next() for _ in range(3)] == [("1", "a", False), (None, "not so", None), ("1", "b", False)]
    stream.ask("nobody", "a")
    assert stream.next() == (None, "Request for unknown model: 'nobody' is not found", None)
    stream.ask("waits", "c", request_id="2")
    assert stream.next() == ("2", "c", True)


def test_the_end_is_told_to_who_asks(stream):
    stream.ask("tells", request_id="1", enable_empty_final_response=True)
    assert stream.next() == ("1", None, True)


def test_requests_of_a_stream_do_not_wait_for_each_other(site, stream):
    stream.ask("tells", f"wait:{site.notes}/gate", "late", request_id="1")
    stream.ask("tells", "early", request_id="2")
    assert stream.next() == ("2", "early", False)

    (site.notes / "gate").touch()

    assert stream.next() == ("1", "late", False)


def test_many_streams_at_once_are_each_in_order(site):
    def count(_: int) -> bool:
        with Stream(site) as one:
            one.ask("tells", "count:300")
            return all(one.next() == ("", str(number), False) for number in range(300))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(count, range(24)))
    assert len(events(site.post("tells", "generate_stream", "count:5000").text)) == 5000


@pytest.mark.parametrize("model", ["tells", "outside"])
def test_a_reader_of_events_that_leaves_ends_the_models_work(site, model):
    body = {"WORDS": ["a", f"wait:{site.notes}/gate"]}
    with httpx.stream("POST", site.path(model, "generate_stream"), json=body, timeout=20) as response:
        next(response.iter_lines())

    assert site.seen("gate") == "gone"


@pytest.mark.parametrize("model", ["tells", "outside"])
def test_a_stream_that_is_cancelled_ends_the_models_work(site, model):
    with Stream(site) as stream:
        stream.ask(model, "a", f"wait:{site.notes}/gate")
        assert stream.next()[1] == "a"
        stream.client.stop_stream(cancel_requests=True)

    assert site.seen("gate") == "gone"


def test_the_deadline_of_a_stream_ends_the_models_work(site):
    stream = Stream(site)
    stream.client.start_stream(lambda result, error: stream.answers.put((result, error)), stream_timeout=1)
    stream.ask("tells", f"wait:{site.notes}/gate")

    assert site.seen("gate") == "gone"
    stream.client.close()


def test_a_coroutine_that_leaves_its_stream_ends_the_models_work(site):
    async def leave() -> None:
        async with grpc_aio.InferenceServerClient(site.grpc) as client:

            async def asked() -> Any:
                yield {"model_name": "tells", "inputs": [tensor("a", f"wait:{site.notes}/gate")]}

            answers = client.stream_infer(asked())
            result, error = await anext(aiter(answers))
            assert error is None and result.as_numpy("SAID")[0] == b"a"
            answers.cancel()

    asyncio.run(leave())

    assert site.seen("gate") == "gone"


def test_iterations_share_batches_and_end_each_in_its_time(site):
    def count(times: int) -> int:
        return len(events(site.post("iterates", "generate_stream", str(times), "").text))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(count, range(20, 26))) == list(range(20, 26))


def test_a_reader_that_leaves_ends_the_iterations_once_the_model_has_seen_it(site):
    note = site.notes / "gate.seen"
    body = {"WORDS": ["1000000000", str(note)]}
    with httpx.stream("POST", site.path("iterates", "generate_stream"), json=body, timeout=20) as response:
        next(response.iter_lines())

    assert site.seen("gate") == "gone"
    page = 'nv_inference_request_failure{model="iterates",version="1",reason="CANCELED"} 1'
    until(lambda: page in httpx.get(f"http://{site.metrics}/metrics").text)


def test_an_iteration_that_fails_is_an_event_and_holds_up_nobody(site):
    first, second = events(site.post("iterates", "generate_stream", "fail", "").text)
    assert first["SAID"] == "1" and "not again" in second["error"]

    assert len(events(site.post("iterates", "generate_stream", "3", "").text)) == 3


def test_who_leaves_the_queue_is_not_executed(site):
    before = site.statistics("waits")["execution_count"]
    busy = threading.Thread(target=site.post, args=("waits", "generate", f"wait:{site.notes}/gate", "first"))
    busy.start()
    until((site.notes / "gate.reached").exists)
    for operation in ("generate", "generate_stream"):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(site.path("waits", operation), json={"WORDS": ["nobody waits"]}, timeout=0.1)
    with Stream(site) as stream:
        stream.ask("waits", "nor here")
        until(lambda: site.waiting("waits") == 1)
        stream.client.stop_stream(cancel_requests=True)

    (site.notes / "gate").touch()
    busy.join()

    assert site.post("waits", "generate", "last").json()["SAID"] == "last"
    assert site.statistics("waits")["execution_count"] == before + 2


def test_every_answer_is_counted_by_its_place(site):
    before = places(site)

    site.post("tells", "generate_stream", "a", "b")
    site.post("tells", "generate_stream", "a", "fail:not so")

    assert [places(site)[place] - before.get(place, Counter()) for place in ("0", "1", "2")] == [
        {"success": 2},
        {"success": 1, "fail": 1},
        {"empty_response": 2},
    ]


def places(site: Site) -> dict[str, Counter[str]]:
    counted = site.statistics("tells")["response_stats"]
    kinds = ("success", "fail", "empty_response", "cancel")
    return {place: Counter({kind: counted[place][kind]["count"] for kind in kinds}) for place in counted}


def test_the_wait_for_the_first_answer_is_the_models_time(site):
    before = site.statistics("tells")
    asked = threading.Thread(target=site.post, args=("tells", "generate_stream", f"wait:{site.notes}/gate", "a"))
    asked.start()
    until(lambda: site.statistics("tells")["execution_count"] > before["execution_count"])
    began = time.monotonic_ns()
    until(lambda: time.monotonic_ns() - began > 200_000_000)
    (site.notes / "gate").touch()
    asked.join()

    spent = [stats["inference_stats"]["compute_infer"]["ns"] for stats in (before, site.statistics("tells"))]
    assert spent[1] - spent[0] >= 200_000_000


def test_a_process_that_ends_fails_the_streams_it_had_and_no_other(site):
    if not site.isolated:
        pytest.skip("the model would take the server with it")
    with Stream(site) as stream:
        stream.ask("tells", "a", f"wait:{site.notes}/gate", "end", request_id="1")
        assert stream.next() == ("1", "a", False)
        (site.notes / "gate").touch()
        assert stream.next() == (None, "Stub process is not healthy.", None)
        stream.ask("waits", "still here", request_id="2")
        assert stream.next() == ("2", "still here", True)

    until(lambda: site.post("tells", "generate", "again").status_code == 200)


def test_strict_clients_have_the_stream_end_with_the_status(site):
    with grpc_client.InferenceServerClient(site.grpc) as client:
        answers: queue.Queue[Any] = queue.Queue()
        client.start_stream(lambda result, error: answers.put(error), headers={"triton_grpc_error": "true"})
        client.async_stream_infer("tells", [tensor("fail:not so")])
        error = answers.get(timeout=20)

    assert isinstance(error, InferenceServerException)
    assert (error.status(), error.message()) == ("StatusCode.NOT_FOUND", "not so")
