"""Ensembles in service: pipelines of models, and how they follow their steps in and out of service."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException

from windlass import Client, ClientError

ADD_ONE = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            array = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            if (array < 0).any():
                error = pb_utils.TritonError("negative")
                responses.append(pb_utils.InferenceResponse(error=error))
            else:
                responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", array + 1)]))
        return responses
"""

TENSORS = (
    'input { name: "%s" data_type: TYPE_FP32 dims: [ -1 ] } output { name: "%s" data_type: TYPE_FP32 dims: [ -1 ] }'
)
# In the server's process: these tests are of ensembles, not of processes.
LOCAL = 'parameters { key: "isolated" value { string_value: "false" } }'


def step(model: str, read: str, written: str, names: tuple[str, str] = ("INPUT0", "OUTPUT0"), version: int = -1) -> str:
    return (
        f'step {{ model_name: "{model}" model_version: {version} input_map {{ key: "{names[0]}" value: "{read}" }} '
        f'output_map {{ key: "{names[1]}" value: "{written}" }} }} '
    )


def add_model(repository, name: str, source: str = ADD_ONE, extra: str = "") -> Path:
    config = f'backend: "python" max_batch_size: 8 {TENSORS % ("INPUT0", "OUTPUT0")} {LOCAL} {extra}'
    return repository.add(name, source, config)


def add_ensemble(repository, name: str, *steps: str, batch: int = 8) -> Path:
    folder = repository.path / name
    (folder / "1").mkdir(parents=True)
    scheduling = f"ensemble_scheduling {{ {''.join(steps)} }}"
    (folder / "config.pbtxt").write_text(
        f'platform: "ensemble" max_batch_size: {batch} {TENSORS % ("x", "y")} {scheduling}'
    )
    return folder


@pytest.fixture
def chain(repository):
    """``e``: a, then b. ``outer``: e, then a."""
    add_model(repository, "a")
    add_model(repository, "b")
    add_ensemble(repository, "e", step("a", "x", "m"), step("b", "m", "y"))
    add_ensemble(repository, "outer", step("e", "x", "m", ("x", "y")), step("a", "m", "y"))
    return repository


def ask(client: Client, model: str = "e", value: float = 1.0) -> float:
    return float(client.infer(model, {"x": np.full((1, 1), value, np.float32)})["y"][0, 0])


def states(server) -> dict[str, tuple[str, str]]:
    return {row["name"]: (row.get("state", ""), row.get("reason", "")) for row in server.index()}


def test_ensembles_answer_through_their_steps(chain, serve):
    server = serve()
    with Client(server.url()) as client:
        assert (ask(client, "e"), ask(client, "outer")) == (3.0, 4.0)
    with http_client.InferenceServerClient(server.addresses["http"]) as rest:
        metadata = rest.get_model_metadata("e")
        config = rest.get_model_config("e")
    assert (metadata["platform"], metadata["versions"]) == ("ensemble", ["1"])
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, -1]}]
    assert config["model_transaction_policy"] == {"decoupled": False}
    assert config["instance_group"] == []
    assert config["ensemble_scheduling"]["step"][0]["model_version"] == -1


def test_a_failing_step_is_told_with_the_ensembles_it_is_in(chain, serve):
    with Client(serve().url()) as client, pytest.raises(ClientError) as failure:
        ask(client, "outer", -5.0)
    assert failure.value.message == "in ensemble 'outer', in ensemble 'e', negative"


def test_an_ensemble_counts_for_itself_and_its_steps_for_themselves(chain, serve):
    server = serve()
    with Client(server.url()) as client:
        ask(client)
        ask(client)
    with grpc_client.InferenceServerClient(server.addresses["grpc"]) as rpc:
        for model, count in (("e", 2), ("a", 2), ("b", 2)):
            found = rpc.get_inference_statistics(model).model_stats[0]
            assert (found.inference_count, found.execution_count, found.inference_stats.success.count) == (count,) * 3


def test_loading_an_ensemble_loads_its_steps_and_unloading_it_may_unload_them(chain, serve):
    server = serve(control_mode="explicit")
    with http_client.InferenceServerClient(server.addresses["http"]) as rest:
        rest.load_model("outer")
        assert server.serving() == {"a": (1,), "b": (1,), "e": (1,), "outer": (1,)}

        rest.unload_model("outer")
        assert server.serving() == {"a": (1,), "b": (1,), "e": (1,)}

        rest.load_model("outer")
        rest.unload_model("outer", unload_dependents=True)
        assert server.serving() == {}


def test_what_another_ensemble_needs_stays(chain, serve):
    add_ensemble(chain, "other", step("a", "x", "y"))
    server = serve(control_mode="explicit", models=("e", "other"))
    with http_client.InferenceServerClient(server.addresses["http"]) as rest:
        rest.unload_model("e", unload_dependents=True)
    assert server.serving() == {"a": (1,), "other": (1,)}


def test_what_was_asked_for_by_its_name_stays(chain, serve):
    server = serve(control_mode="explicit", models=("a", "outer"))
    with http_client.InferenceServerClient(server.addresses["http"]) as rest:
        rest.load_model("b")
        rest.unload_model("outer", unload_dependents=True)
        assert server.serving() == {"a": (1,), "b": (1,)}

        rest.unload_model("b")
        rest.load_model("outer")
        rest.unload_model("outer", unload_dependents=True)
        assert server.serving() == {"a": (1,)}


def test_a_model_does_not_become_a_step_of_itself(chain, serve):
    server = serve(control_mode="explicit", models=("a",))
    tensor = {"data_type": "TYPE_FP32", "dims": [-1]}
    turned = {
        "platform": "ensemble",
        "max_batch_size": 8,
        "input": [{"name": "x", **tensor}],
        "output": [{"name": "y", **tensor}],
        "ensemble_scheduling": {
            "step": [{"model_name": "a", "model_version": -1, "input_map": {"x": "x"}, "output_map": {"y": "y"}}]
        },
    }
    with http_client.InferenceServerClient(server.addresses["http"]) as rest:
        with pytest.raises(InferenceServerException, match="circular dependency between ensembles: a -> ... -> a -> a"):
            rest.load_model("a", config=json.dumps(turned))
        assert rest.is_model_ready("a")


def test_an_ensemble_leaves_with_a_step_and_comes_back_with_it(chain, serve):
    server = serve(control_mode="explicit", models=("*",))
    with http_client.InferenceServerClient(server.addresses["http"]) as rest, Client(server.url()) as client:
        rest.unload_model("b")
        gone = ("UNAVAILABLE", "unloaded")
        assert states(server) == {"a": ("READY", ""), "b": gone, "e": gone, "outer": gone}
        with pytest.raises(ClientError, match="Request for unknown model: 'e' has no available versions"):
            ask(client)

        rest.load_model("b")
        assert ask(client, "outer") == 4.0


def test_an_ensemble_that_was_unloaded_does_not_come_back_by_itself(chain, serve):
    server = serve(control_mode="explicit", models=("*",))
    with http_client.InferenceServerClient(server.addresses["http"]) as rest:
        rest.unload_model("e")
        rest.unload_model("b")
        rest.load_model("b")
    assert server.serving() == {"a": (1,), "b": (1,)}


def test_a_step_that_changes_takes_its_ensembles_along(chain, serve):
    server = serve(control_mode="explicit", models=("*",))
    with Client(server.url()) as client, http_client.InferenceServerClient(server.addresses["http"]) as rest:
        config = chain.path / "b" / "config.pbtxt"
        fitting = config.read_text()
        config.write_text(fitting.replace("TYPE_FP32", "TYPE_INT32"))
        rest.load_model("b")
        state, reason = states(server)["e"]
        assert state == "UNAVAILABLE"
        with pytest.raises(ClientError):
            ask(client)

        config.write_text(fitting)
        rest.load_model("b")
        assert ask(client) == 3.0


def load_error(server, name: str) -> str:
    with http_client.InferenceServerClient(server.addresses["http"]) as rest:
        with pytest.raises(InferenceServerException) as failure:
            rest.load_model(name)
        return failure.value.message()


def test_why_an_ensemble_does_not_load(chain, serve):
    add_model(chain, "broken", "raise RuntimeError('no')")
    add_ensemble(chain, "absent", step("a", "x", "m"), step("nope", "m", "y"))
    add_ensemble(chain, "failing", step("a", "x", "m"), step("broken", "m", "y"))
    add_ensemble(chain, "versioned", step("a", "x", "y", version=9))
    add_ensemble(chain, "large", step("a", "x", "y"), batch=9)
    add_ensemble(chain, "one", step("two", "x", "y", ("x", "y")))
    add_ensemble(chain, "two", step("one", "x", "y", ("x", "y")))
    server = serve(control_mode="explicit")

    def failed(name: str, text: str) -> str:
        return f"load failed for model '{name}': {text}\n"

    unavailable = "ensemble absent contains models that are not available or ambiguous: nope"
    assert load_error(server, "absent") == failed("absent", unavailable)
    why = load_error(server, "failing")
    assert why.startswith(
        "load failed for model 'failing': ensemble 'failing' depends on 'broken' which has no loaded version. Model "
        "'broken' loading failed with error: version 1 is at UNAVAILABLE state: Internal: "
    )
    assert load_error(server, "versioned") == failed(
        "versioned", "ensemble 'versioned' depends on 'a' whose required version 9 is not loaded."
    )
    assert load_error(server, "large") == failed(
        "large",
        "ensemble large allows maximum batch size 9, but it contains model a which only allows maximum batch size "
        "to be 8",
    )
    assert load_error(server, "one") == failed("one", "circular dependency between ensembles: one -> ... -> two -> one")


def test_everything_loads_at_start_whatever_the_order_of_names(repository, serve):
    add_ensemble(repository, "a_last", step("b_middle", "x", "y", ("x", "y")))
    add_ensemble(repository, "b_middle", step("c_first", "x", "y"))
    add_model(repository, "c_first")
    add_ensemble(repository, "circle", step("circle", "x", "y", ("x", "y")))

    server = serve()

    assert server.serving() == {"a_last": (1,), "b_middle": (1,), "c_first": (1,)}
    state, reason = states(server)["circle"]
    assert (state, "circular dependency between ensembles" in reason) == ("UNAVAILABLE", True)


def test_loads_and_unloads_at_the_same_time_come_to_an_end(chain, serve):
    server = serve(control_mode="explicit")
    failures: list[Exception] = []

    def churn(name: str) -> None:
        with http_client.InferenceServerClient(server.addresses["http"]) as rest:
            for _ in range(10):
                for call in (rest.load_model, rest.unload_model):
                    try:
                        call(name)
                    except InferenceServerException as error:
                        if "load failed for model" not in error.message():
                            failures.append(error)

    threads = [threading.Thread(target=churn, args=(name,)) for name in ("a", "b", "e", "outer")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert not any(thread.is_alive() for thread in threads)
    assert not failures
    with Client(server.url()) as client, http_client.InferenceServerClient(server.addresses["http"]) as rest:
        rest.load_model("outer")
        assert ask(client, "outer") == 4.0


REPEAT = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            count = int(pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()[0, 0])
            sender = request.get_response_sender()
            for index in range(count):
                output = pb_utils.Tensor("OUTPUT0", np.full((1, 1), index, np.float32))
                sender.send(pb_utils.InferenceResponse([output]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


def test_an_ensemble_of_a_decoupled_step_says_so(repository, serve):
    add_model(repository, "repeat", REPEAT, "model_transaction_policy { decoupled: true }")
    add_model(repository, "a")
    add_ensemble(repository, "stream", step("repeat", "x", "m"), step("a", "m", "y"))
    server = serve()
    with http_client.InferenceServerClient(server.addresses["http"]) as rest:
        assert rest.get_model_config("stream")["model_transaction_policy"] == {"decoupled": True}
        given = http_client.InferInput("x", [1, 1], "FP32")
        given.set_data_from_numpy(np.ones((1, 1), np.float32))
        with pytest.raises(InferenceServerException, match="doesn't support models with decoupled"):
            rest.infer("stream", [given])


SPLIT = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            texts = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy()
            words = [text.decode().split() for text in texts.ravel()]
            width = max(len(row) for row in words)
            padded = [row + [""] * (width - len(row)) for row in words]
            array = np.array(padded, np.object_)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("WORDS", array)]))
        return responses
"""

LENGTHS = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            words = pb_utils.get_input_tensor_by_name(request, "WORDS").as_numpy()
            array = np.vectorize(len, otypes=[np.float32])(words)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("LENGTHS", array)]))
        return responses
"""

JOIN = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            words = pb_utils.get_input_tensor_by_name(request, "WORDS").as_numpy()
            scores = pb_utils.get_input_tensor_by_name(request, "SCORES").as_numpy()
            best = [[row[int(np.argmax(score))]] for row, score in zip(words, scores)]
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("BEST", np.array(best, np.object_))]))
        return responses
"""


def test_five_steps_with_strings_answer_as_the_steps_called_by_hand(repository, serve):
    def tensor(kind: str, name: str, data_type: str, dims: int = -1) -> str:
        return f'{kind} {{ name: "{name}" data_type: TYPE_{data_type} dims: [ {dims} ] }} '

    def add(name: str, source: str, *tensors: str) -> None:
        repository.add(
            name, source, f'backend: "python" max_batch_size: 8 {LOCAL} dynamic_batching {{}} {"".join(tensors)}'
        )

    add("split", SPLIT, tensor("input", "TEXT", "STRING", 1), tensor("output", "WORDS", "STRING"))
    add("lengths", LENGTHS, tensor("input", "WORDS", "STRING"), tensor("output", "LENGTHS", "FP32"))
    add(
        "join",
        JOIN,
        tensor("input", "WORDS", "STRING"),
        tensor("input", "SCORES", "FP32"),
        tensor("output", "BEST", "STRING", 1),
    )
    add_model(repository, "more")
    steps = (
        step("split", "TEXT", "words", ("TEXT", "WORDS")),
        step("lengths", "words", "lengths", ("WORDS", "LENGTHS")),
        step("more", "lengths", "raised"),
        step("more", "raised", "scores"),
        'step { model_name: "join" model_version: -1 input_map { key: "WORDS" value: "words" } '
        'input_map { key: "SCORES" value: "scores" } '
        'output_map { key: "BEST" value: "BEST" } }',
    )
    folder = repository.path / "longest"
    (folder / "1").mkdir(parents=True)
    tensors = (
        tensor("input", "TEXT", "STRING", 1)
        + tensor("output", "BEST", "STRING", 1)
        + tensor("output", "scores", "FP32")
    )
    (folder / "config.pbtxt").write_text(
        f'platform: "ensemble" max_batch_size: 8 {tensors} ensemble_scheduling {{ {" ".join(steps)} }}'
    )
    texts = np.array([["a bee flies"], ["caf\u00e9 au lait"], ["one"]], np.object_)

    with Client(serve().url()) as client:
        whole = client.infer("longest", {"TEXT": texts})
        words = client.infer("split", {"TEXT": texts})["WORDS"]
        lengths = client.infer("lengths", {"WORDS": words})["LENGTHS"]
        scores = client.infer("more", {"INPUT0": client.infer("more", {"INPUT0": lengths})["OUTPUT0"]})["OUTPUT0"]
        best = client.infer("join", {"WORDS": words, "SCORES": scores})["BEST"]

    np.testing.assert_array_equal(whole["BEST"], best)
    np.testing.assert_array_equal(whole["scores"], scores)
    assert json.dumps(whole["scores"].tolist()) == json.dumps([[3.0, 5.0, 7.0], [7.0, 4.0, 6.0], [5.0, 2.0, 2.0]])


def test_outputs_have_the_labels_of_the_step_that_writes_them(repository, serve):
    folder = add_model(repository, "scores")
    config = folder / "config.pbtxt"
    config.write_text(config.read_text().replace('"OUTPUT0"', '"OUTPUT0" label_filename: "labels.txt"'))
    (folder / "labels.txt").write_text("cat\ndog\n")
    add_ensemble(repository, "outer", step("inner", "x", "y", ("x", "y")))
    add_ensemble(repository, "inner", step("scores", "x", "y"))
    with http_client.InferenceServerClient(serve().addresses["http"]) as client:
        given = http_client.InferInput("x", [1, 2], "FP32")
        given.set_data_from_numpy(np.array([[1, 2]], np.float32))
        for name in ("inner", "outer"):
            wanted = http_client.InferRequestedOutput("y", class_count=2)
            classes = client.infer(name, [given], outputs=[wanted]).as_numpy("y")
            assert classes.tolist() == [[b"3.000000:1:dog", b"2.000000:0:cat"]]


def test_an_ensemble_may_have_other_shapes_than_its_steps(repository, serve):
    add_model(repository, "add")
    folder = add_ensemble(repository, "outer", step("add", "x", "y"))
    config = folder / "config.pbtxt"
    config.write_text(config.read_text().replace("dims: [ -1 ]", "dims: [ 2, 2 ] reshape { shape: [ 4 ] }"))
    with Client(serve().addresses["http"]) as client:
        asked = np.arange(8, dtype=np.float32).reshape(2, 2, 2)

        assert client.metadata("outer")["inputs"][0]["shape"] == [-1, 2, 2]
        assert client.infer("outer", {"x": asked})["y"].tolist() == (asked + 1).tolist()
