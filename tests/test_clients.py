"""Every method of Triton's four Python clients, against one server; none is left out."""

import asyncio
import contextlib
import inspect
import json
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio
import tritonclient.grpc.aio.auth as grpc_aio_auth
import tritonclient.grpc.auth as grpc_auth
import tritonclient.http as http_client
import tritonclient.http.aio as http_aio
import tritonclient.http.aio.auth as http_aio_auth
import tritonclient.http.auth as http_auth
from tritonclient._plugin import InferenceServerClientPlugin
from tritonclient.utils import InferenceServerException

import windlass

KINDS: dict[str, tuple[ModuleType, ModuleType]] = {
    "http": (http_client, http_auth),
    "http.aio": (http_aio, http_aio_auth),
    "grpc": (grpc_client, grpc_auth),
    "grpc.aio": (grpc_aio, grpc_aio_auth),
}

# What every client has; those with tests of their own are named below.
EVERYWHERE = {
    "close", "get_cuda_shared_memory_status", "get_inference_statistics", "get_log_settings", "get_model_config",
    "get_model_metadata", "get_model_repository_index", "get_server_metadata", "get_system_shared_memory_status",
    "get_trace_settings", "infer", "is_model_ready", "is_server_live", "is_server_ready", "load_model", "plugin",
    "register_cuda_shared_memory", "register_plugin", "register_system_shared_memory", "unload_model",
    "unregister_cuda_shared_memory", "unregister_plugin", "unregister_system_shared_memory", "update_log_settings",
    "update_trace_settings",
}  # fmt: skip
SOME = {
    "http": {"async_infer", "generate_request_body", "parse_response_body"},
    "http.aio": {"generate_request_body", "parse_response_body"},
    "grpc": {"async_infer", "async_stream_infer", "start_stream", "stop_stream"},
    "grpc.aio": {"stream_infer"},
}

ROW = np.array([[1.5, 2.0]], np.float32)


class Asked:
    """One client of any kind, asked as if it were an ordinary one; what it answers comes as plain values."""

    def __init__(self, kind: str, server: windlass.Server, **options: object) -> None:
        self.rest = kind.startswith("http")
        self.module, self.auth = KINDS[kind]
        self.loop = asyncio.new_event_loop()
        self.client = self.wait(self.open(server.addresses["http" if self.rest else "grpc"], options))

    async def open(self, address: str, options: dict[str, object]) -> Any:
        return self.module.InferenceServerClient(address, **options)

    def wait(self, answer: Any) -> Any:
        return self.loop.run_until_complete(answer) if inspect.isawaitable(answer) else answer

    def __call__(self, method: str, *arguments: object, **named: object) -> Any:
        call = getattr(self.client, method)
        if "as_json" in inspect.signature(call).parameters:
            named["as_json"] = True
        answer = self.wait(call(*arguments, **named))
        return json.loads(answer) if isinstance(answer, bytes | str) else answer

    def tensor(self, array: np.ndarray = ROW, name: str = "INPUT0") -> Any:
        given = self.module.InferInput(name, list(array.shape), "FP32")
        given.set_data_from_numpy(array)
        return given

    def close(self) -> None:
        self.wait(self.client.close())
        self.loop.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def server(repository, serve: Callable[..., windlass.Server]) -> windlass.Server:
    repository.add_identity("echo", extra="dynamic_batching {}")
    return serve(control_mode="explicit", models=("*",))


@pytest.fixture
def ask(kind: str, server: windlass.Server) -> Iterator[Asked]:
    asked = Asked(kind, server)
    yield asked
    asked.close()


def test_no_method_is_left_out(kind):
    client = KINDS[kind][0].InferenceServerClient
    assert {name for name in dir(client) if not name.startswith("_")} == EVERYWHERE | SOME[kind]


def test_health(ask):
    assert ask("is_server_live")
    assert ask("is_server_ready")
    assert ask("is_model_ready", "echo")
    assert ask("is_model_ready", "echo", "1")
    with pytest.raises(InferenceServerException) if not ask.rest else contextlib.nullcontext():
        assert not ask("is_model_ready", "nope")


def test_descriptions(ask):
    assert ask("get_server_metadata")["name"] == "windlass"
    metadata = ask("get_model_metadata", "echo", "1")
    assert (metadata["name"], metadata["versions"], metadata["inputs"][0]["datatype"]) == ("echo", ["1"], "FP32")
    config = ask("get_model_config", "echo")
    assert (config if ask.rest else config["config"])["max_batch_size"] == 8


def test_statistics(ask):
    ask("infer", "echo", [ask.tensor()])
    for name in ("echo", ""):
        model = ask("get_inference_statistics", name)["model_stats"][0]
        assert int(model["inference_count"]) == 1
        assert set(model["inference_stats"]) == {
            "success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss"
        }  # fmt: skip


def test_the_repository_is_listed_loaded_and_unloaded(ask):
    ask("unload_model", "echo")
    assert not _ready(ask, "echo")
    ask("load_model", "echo")
    assert _ready(ask, "echo")
    index = ask("get_model_repository_index")
    assert [model["name"] for model in (index if ask.rest else index["models"])] == ["echo"]
    ask("unload_model", "echo", unload_dependents=True)
    assert not _ready(ask, "echo")


def test_models_are_loaded_from_what_a_request_carries(ask, repository):
    tensor = {"data_type": "TYPE_FP32", "dims": [-1]}
    config = {
        "backend": "python",
        "max_batch_size": 2,
        "input": [{"name": "INPUT0", **tensor}],
        "output": [{"name": "OUTPUT0", **tensor}],
    }
    source = (repository.path / "echo" / "1" / "model.py").read_bytes()
    ask("load_model", "echo", config=json.dumps(config))
    assert ask("infer", "echo", [ask.tensor()]).as_numpy("OUTPUT0").tolist() == ROW.tolist()
    ask("load_model", "carried", config=json.dumps(config), files={"file:3/model.py": source})
    assert ask("get_model_metadata", "carried")["versions"] == ["3"]
    with pytest.raises(InferenceServerException, match="must be specified for model file override"):
        ask("load_model", "carried", files={"file:3/model.py": source})


def test_inference_with_everything_that_can_be_said(ask):
    result = ask(
        "infer",
        "echo",
        [ask.tensor()],
        model_version="1",
        outputs=[ask.module.InferRequestedOutput("OUTPUT0")],
        request_id="seven",
        priority=1,
        timeout=20_000_000,
        headers={"x-some": "thing"},
        parameters={"flag": True, "count": 7, "name": "x"},
        **({"query_params": {"q": "1"}} if ask.rest else {"client_timeout": 20}),
    )
    assert result.as_numpy("OUTPUT0").tolist() == ROW.tolist()
    response = result.get_response()
    assert (response["id"] if ask.rest else response.id) == "seven"
    assert result.get_output("OUTPUT0") is not None
    assert result.get_output("OTHER") is None


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_inference_compressed(ask, algorithm):
    rows = np.ones((4, 1000), np.float32)
    named = (
        {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
        if ask.rest
        else {"compression_algorithm": algorithm}
    )
    assert ask("infer", "echo", [ask.tensor(rows)], **named).as_numpy("OUTPUT0").shape == (4, 1000)


def test_errors_carry_the_status_and_the_text(ask):
    with pytest.raises(InferenceServerException) as failure:
        ask("infer", "nope", [ask.tensor()])
    assert failure.value.message() == "Request for unknown model: 'nope' is not found"
    assert failure.value.status() == ("404" if ask.rest else "StatusCode.NOT_FOUND")


def test_plugins_and_credentials(ask):
    seen = []

    class Plugin(InferenceServerClientPlugin):
        def __call__(self, request: Any) -> None:
            request.headers["x-plugged"] = "in"
            seen.append(dict(request.headers))

    ask.client.register_plugin(Plugin())
    assert ask.client.plugin() is not None
    assert ask("is_server_live")
    ask.client.unregister_plugin()
    ask.client.register_plugin(ask.auth.BasicAuth("user", "password"))
    assert ask("is_server_live")
    ask.client.unregister_plugin()
    assert seen[0]["x-plugged"] == "in"


def test_one_client_waits_no_longer_than_it_wants_to(ask, kind, server, repository):
    repository.add("slow", SLOW)
    ask("load_model", "slow")
    given = ask.tensor(np.array([1], np.float32), "x")
    if ask.rest:
        impatient = Asked(kind, server, **{"network_timeout" if kind == "http" else "conn_timeout": 0.1})
        with pytest.raises(TimeoutError):
            impatient("infer", "slow", [given])
        impatient.close()
    else:
        with pytest.raises(InferenceServerException, match="Deadline Exceeded"):
            ask("infer", "slow", [given], client_timeout=0.1)
    assert ask("is_server_ready")


SLOW = """
import time
import windlass
from windlass import Tensor


@windlass.model
def slow(x: Tensor["FP32", 1]) -> Tensor["FP32", 1]:
    time.sleep(0.5)
    return x
"""


def test_http_answers_later(server):
    with http_client.InferenceServerClient(server.addresses["http"], concurrency=4) as client:
        asked = Asked("http", server)
        pending = [client.async_infer("echo", [asked.tensor()]) for _ in range(8)]
        assert [waiting.get_result().as_numpy("OUTPUT0").tolist() for waiting in pending] == [ROW.tolist()] * 8
        asked.close()


@pytest.mark.parametrize("kind", ["http", "http.aio"])
def test_bodies_are_made_and_read_without_a_connection(ask):
    body, size = ask.module.InferenceServerClient.generate_request_body([ask.tensor()])
    assert json.loads(body[:size])["inputs"][0]["name"] == "INPUT0"
    answer = (
        b'{"model_name":"echo","model_version":"1","outputs":[{"name":"O","datatype":"FP32","shape":[1],"data":[1]}]}'
    )
    result = ask.module.InferenceServerClient.parse_response_body(answer)
    assert result.as_numpy("O").tolist() == [1.0]


def test_grpc_answers_later_and_can_be_cancelled(server, repository):
    repository.add("slow", SLOW)
    with grpc_client.InferenceServerClient(server.addresses["grpc"]) as client:
        client.load_model("slow")
        done = threading.Event()
        seen: list[tuple[Any, Any]] = []

        def callback(result: Any, error: Any) -> None:
            seen.append((result, error))
            done.set()

        given = grpc_client.InferInput("x", [1], "FP32")
        given.set_data_from_numpy(np.array([1], np.float32))
        call = client.async_infer("slow", [given], callback)
        call.cancel()
        assert done.wait(20)
        assert "Locally cancelled" in str(seen[0][1])

        done.clear()
        client.async_infer("slow", [given], callback)
        assert done.wait(20)
        assert seen[1][0].as_numpy("output").tolist() == [1.0]


def test_grpc_takes_keepalive_options(server):
    options = grpc_client.KeepAliveOptions(keepalive_time_ms=10_000, keepalive_permit_without_calls=True)
    with grpc_client.InferenceServerClient(server.addresses["grpc"], keepalive_options=options) as client:
        assert client.is_server_ready()


def _ready(ask: Asked, model: str) -> bool:
    return bool(ask("is_model_ready", model))
