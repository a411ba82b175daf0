"""Loading and unloading over the network, and what happens to those who ask meanwhile."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import windlass
from windlass import Client, ClientError


@pytest.fixture
def client(repository, serve):
    repository.add_identity("echo")
    with Client(serve(control_mode="explicit", models=("echo",)).url()) as client:
        yield client


def answer(client: Client, model: str = "echo") -> float:
    return float(client.infer(model, {"INPUT0": np.ones((1, 1), np.float32)})["OUTPUT0"][0, 0])


def test_a_model_is_loaded_and_unloaded_on_request(repository, client):
    repository.add_identity("late")

    with pytest.raises(ClientError, match="unknown model: 'late' is not found"):
        answer(client, "late")
    client.load("late")
    assert answer(client, "late") == 1.0
    client.unload("late")

    with pytest.raises(ClientError, match="'late' has no available versions"):
        answer(client, "late")
    assert {"name": "late", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"} in client.models()


def test_a_new_version_takes_over(repository, client):
    folder = repository.path / "echo"
    source = (folder / "1" / "model.py").read_text().replace("tensor.as_numpy()", "2 * tensor.as_numpy()")
    (folder / "2").mkdir()
    (folder / "2" / "model.py").write_text(source)

    client.load("echo")

    assert answer(client) == 2.0
    assert client.metadata("echo")["versions"] == ["2"]


def test_a_new_version_that_fails_leaves_the_old_one_in_service(repository, client):
    folder = repository.path / "echo"
    (folder / "2").mkdir()
    (folder / "2" / "model.py").write_text("raise RuntimeError('no weights today')")

    with pytest.raises(ClientError, match="no weights today") as failure:
        client.load("echo")

    assert failure.value.status == 400
    assert answer(client) == 1.0


def test_a_configuration_can_be_given_with_the_request(client):
    tensor = {"data_type": "TYPE_FP32", "dims": [-1]}
    config = {
        "max_batch_size": 2,
        "input": [{"name": "INPUT0", **tensor}],
        "output": [{"name": "OUTPUT0", **tensor}],
    }
    client.load("echo", config)
    assert client.config("echo")["max_batch_size"] == 2
    with pytest.raises(ClientError, match="Invalid config override"):
        client.load("echo", json.dumps({"max_batch_sizes": 2}))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nope", "failed to load 'nope', failed to poll from model repository"),
        (" ", "Model name cannot be empty"),
        ("a/b", "must not contain path traversal characters"),
    ],
)
def test_a_model_that_cannot_be_found_is_told(client, name, text):
    with pytest.raises(ClientError, match=text):
        client.load(name)


def test_unloading_what_is_not_there_succeeds(client):
    client.unload("nope")


def test_without_explicit_mode_the_network_loads_nothing(repository, serve):
    repository.add_identity("echo")
    with Client(serve().url()) as client, pytest.raises(ClientError, match="explicit model load / unload") as refusal:
        client.load("echo")
    assert refusal.value.status == 503


def test_a_model_that_fails_stops_no_other_and_says_why(repository, serve):
    repository.add_identity("good")
    repository.add("bad", "import nothing_of_that_name")
    (repository.path / "empty").mkdir()

    server = serve()

    with Client(server.url()) as client:
        assert answer(client, "good") == 1.0
        assert not client.ready()
        reasons = {entry["name"]: entry.get("reason", "") for entry in client.models()}
    assert "No module named 'nothing_of_that_name'" in reasons["bad"]
    assert "has no version directory" in reasons["empty"]


@pytest.mark.parametrize("mode", ["none", "poll", "explicit"])
def test_a_model_that_is_not_there_is_told_with_those_that_are(repository, serve, mode):
    repository.add_identity("echo")
    with pytest.raises(windlass.WindlassError, match="model `nope` is not in") as failure:
        serve(control_mode=mode, models=("nope",))
    assert failure.value.found == "echo"


def test_exit_on_error_ends_what_cannot_serve_everything(repository, serve):
    repository.add("bad", "import nothing_of_that_name")
    with pytest.raises(windlass.WindlassError, match="failed to load all models: bad"):
        serve(exit_on_error=True)


def test_a_port_that_is_taken_is_told(repository, serve):
    taken = int(serve().addresses["http"].rpartition(":")[2])
    with pytest.raises(windlass.WindlassError, match=f"cannot listen on 127.0.0.1:{taken}"):
        serve(http_port=taken)


def test_the_user_s_own_traceback_reaches_the_client(repository, serve):
    source = (
        "import windlass\nfrom windlass import Tensor\n\n@windlass.model\n"
        'def half(x: Tensor["FP32", 1]) -> Tensor["FP32", 1]:\n    return x / undefined\n'
    )
    repository.add("half", source)
    with Client(serve().url()) as client, pytest.raises(ClientError) as failure:
        client.infer("half", {"x": np.ones(1, np.float32)})
    assert failure.value.status == 500
    assert "NameError: name 'undefined' is not defined" in failure.value.message
    assert "model.py(6): half" in failure.value.message
    assert "function_model" not in failure.value.message


@pytest.mark.parametrize("isolated", ["true", "false"])
def test_requests_are_answered_or_told_while_a_model_comes_and_goes(repository, serve, isolated):
    kept = f'parameters {{ key: "isolated" value {{ string_value: "{isolated}" }} }}'
    repository.add_identity("echo", extra=kept)
    url = serve(control_mode="explicit", models=("echo",)).url()
    over, told = threading.Event(), set()

    def ask() -> int:
        answered = 0
        with Client(url) as client:
            while not over.is_set():
                try:
                    assert answer(client) == 1.0
                    answered += 1
                except ClientError as error:
                    told.add(error.message)
        return answered

    def change(what: str) -> None:
        with Client(url) as client:
            for _ in range(3):
                client.load("echo") if what == "load" else client.unload("echo")

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        for changing in [pool.submit(change, what) for what in ("load", "unload", "load", "unload")]:
            changing.result()
        with Client(url) as client:
            client.load("echo")
            assert answer(client) == 1.0
        over.set()
        assert all(one.result() for one in asking)
    gone = ("Request for unknown model: 'echo' ", "[request id: <id_unknown>] Server is stopping, scheduler for model ")
    assert not [text for text in told if not text.startswith(gone)]


def test_loads_at_the_same_time_end_with_one_of_them(repository, serve):
    repository.add_identity("echo")
    tensor = {"data_type": "TYPE_FP32", "dims": [-1]}
    given = {"input": [{"name": "INPUT0", **tensor}], "output": [{"name": "OUTPUT0", **tensor}]}
    url = serve(control_mode="explicit").url()

    def load(size: int) -> None:
        with Client(url) as client:
            client.load("echo", {**given, "max_batch_size": size})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(load, range(1, 9)))

    with Client(url) as client:
        assert client.config("echo")["max_batch_size"] in range(1, 9)
        assert answer(client) == 1.0
        assert [entry["state"] for entry in client.models()] == ["READY"]
