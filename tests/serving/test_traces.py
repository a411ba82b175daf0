"""Traces as users set them up: Triton's file, and spans at a collector, over real sockets."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client

import windlass
from support.certificates import Authority
from support.collector import Collector, Span, collecting
from windlass.errors import ServerError

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

# Asks `echo` in the trace of its request, and answers with the trace's context.
ASKER = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            value = pb_utils.get_input_tensor_by_name(request, "INPUT0")
            asked = pb_utils.InferenceRequest(
                model_name="echo", requested_output_names=["OUTPUT0"], inputs=[value], trace=request.trace()
            )
            answer = asked.exec()
            assert not answer.has_error(), answer.error().message()
            context = str(request.trace().get_context())
            told = pb_utils.Tensor("CONTEXT", np.array([[context.encode()]] * len(value.as_numpy()), np.object_))
            responses.append(pb_utils.InferenceResponse([told]))
        return responses
"""
ASKER_CONFIG = """
backend: "python" max_batch_size: 8
input { name: "INPUT0" data_type: TYPE_FP32 dims: -1 }
output { name: "CONTEXT" data_type: TYPE_STRING dims: 1 }
parameters { key: "isolated" value { string_value: "%s" } }
"""
ENSEMBLE = """
platform: "ensemble" max_batch_size: 8
input { name: "IN" data_type: TYPE_FP32 dims: -1 }
output { name: "OUT" data_type: TYPE_FP32 dims: -1 }
ensemble_scheduling {
  step {
    model_name: "echo" model_version: -1
    input_map { key: "INPUT0" value: "IN" }
    output_map { key: "OUTPUT0" value: "between" }
  }
  step {
    model_name: "after" model_version: -1
    input_map { key: "INPUT0" value: "between" }
    output_map { key: "OUTPUT0" value: "OUT" }
  }
}
"""
VALUES = [[1.0, 2.5]]


@pytest.fixture(params=["http/protobuf", "grpc"])
def collector(request) -> Iterator[Collector]:
    with collecting(request.param) as found:
        yield found


def telemetry(collector: Collector, *more: str) -> dict[str, object]:
    protocol = "http/protobuf" if collector.url.endswith("/v1/traces") else "grpc"
    own = (
        "mode=opentelemetry",
        f"opentelemetry,url={collector.url}",
        f"opentelemetry,protocol={protocol}",
        "opentelemetry,bsp_schedule_delay=50",
    )
    return {"trace_config": ("level=TIMESTAMPS", "rate=1", *own, *more)}


def ask(server: windlass.Server, model: str, name: str = "INPUT0", **headers: str) -> dict[str, object]:
    tensor = {"name": name, "shape": [1, 2], "datatype": "FP32", "data": VALUES}
    url = f"{server.url()}/v2/models/{model}/infer"
    answer = httpx.post(url, json={"id": "seven", "inputs": [tensor]}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def tree(spans: list[Span]) -> dict[str, str]:
    """The name of the span above each span."""
    names = {span.span_id: span.name for span in spans}
    return {span.name: names.get(span.parent_id, span.parent_id) for span in spans}


def test_a_request_becomes_three_spans_in_the_trace_of_its_client(repository, serve, collector):
    repository.add_identity("echo")
    server = serve(**telemetry(collector, "opentelemetry,resource=service.name=shop"))

    ask(server, "echo", traceparent=PARENT, tracestate="vendor=1")

    spans = collector.until(3)
    root, model, compute = spans
    assert tree(spans) == {"InferRequest": "b7ad6b7169203331", "echo": "InferRequest", "compute": "echo"}
    assert {(span.trace_id, span.state) for span in spans} == {(PARENT.split("-")[1], "vendor=1")}
    assert root.kind == 2
    assert root.events == ["HTTP_RECV_START", "HTTP_RECV_END", "HTTP_SEND_START", "HTTP_SEND_END"]
    assert model.events == ["REQUEST_START", "QUEUE_START", "INFER_RESPONSE_COMPLETE", "REQUEST_END"]
    assert compute.events == ["COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END"]
    assert model.attributes == {
        "triton.model_name": "echo",
        "triton.model_version": 1,
        "triton.trace_id": 1,
        "triton.trace_parent_id": 0,
        "triton.request_id": "seven",
    }
    assert (collector.tracer, collector.resource) == ("triton-server", {"service.name": "shop"})


def test_a_call_and_a_stream_are_followed_as_well(repository, serve, collector):
    repository.add_identity("echo")
    server = serve(**telemetry(collector))
    tensor = grpc_client.InferInput("INPUT0", [1, 2], "FP32").set_data_from_numpy(np.array(VALUES, np.float32))

    with grpc_client.InferenceServerClient(server.url("grpc")) as client:
        client.infer("echo", [tensor], headers={"traceparent": PARENT})
        answers: list[object] = []
        client.start_stream(lambda result, error: answers.append(error or result))
        client.async_stream_infer("echo", [tensor])
        client.stop_stream()

    spans = collector.until(6)
    roots = [span for span in spans if span.name == "InferRequest"]
    assert [span.parent_id for span in roots] == ["b7ad6b7169203331", ""]
    for span in roots:
        assert span.events == ["GRPC_WAITREAD_START", "GRPC_WAITREAD_END", "GRPC_SEND_START", "GRPC_SEND_END"]


@pytest.mark.parametrize("isolated", ["true", "false"])
def test_a_model_asked_by_a_model_stands_under_it(repository, serve, collector, isolated):
    repository.add_identity("echo")
    repository.add("asker", ASKER, ASKER_CONFIG % isolated)
    server = serve(**telemetry(collector))

    answer = ask(server, "asker", traceparent=PARENT)

    spans = collector.until(5)
    above = {span.span_id: span.name for span in spans}
    named = [(span.name, above.get(span.parent_id)) for span in spans]
    assert sorted(named, key=str) == [
        ("InferRequest", None),
        ("asker", "InferRequest"),
        ("compute", "asker"),
        ("compute", "echo"),
        ("echo", "asker"),
    ]
    asker, echo = (next(span for span in spans if span.name == name) for name in ("asker", "echo"))
    assert echo.attributes["triton.trace_parent_id"] == asker.attributes["triton.trace_id"]
    context = json.loads(answer["outputs"][0]["data"][0])  # type: ignore[index]
    assert context["traceparent"] == f"00-{PARENT.split('-')[1]}-{asker.span_id}-01"


def test_the_steps_of_an_ensemble_stand_under_it(repository, serve, collector):
    repository.add_identity("echo")
    repository.add_identity("after")
    (repository.path / "whole" / "1").mkdir(parents=True)
    (repository.path / "whole" / "config.pbtxt").write_text(ENSEMBLE)
    server = serve(**telemetry(collector))

    ask(server, "whole", "IN")

    spans = collector.until(6)
    above = {span.span_id: span.name for span in spans}
    assert [(span.name, above.get(span.parent_id)) for span in spans] == [
        ("InferRequest", None),
        ("whole", "InferRequest"),
        ("echo", "whole"),
        ("compute", "echo"),
        ("after", "whole"),
        ("compute", "after"),
    ]


def test_what_a_client_traces_is_traced_whatever_the_rate(repository, serve):
    repository.add_identity("echo")
    with collecting("http/protobuf") as collector:
        server = serve(**telemetry(collector, "rate=0"))
        ask(server, "echo")
        ask(server, "echo", traceparent=PARENT)
        spans = collector.until(3)
        server.stop()
        assert {span.trace_id for span in collector.spans} == {spans[0].trace_id} == {PARENT.split("-")[1]}
        assert len(collector.spans) == 3


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_spans_go_to_a_collector_over_tls(repository, serve, protocol, tmp_path, monkeypatch):
    repository.add_identity("echo")
    authority, trusted = Authority(), tmp_path / "trusted.pem"
    trusted.write_bytes(authority.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    with collecting(protocol, authority.sign("collector")) as collector:
        ask(serve(**telemetry(collector)), "echo")

        assert [span.name for span in collector.until(3)] == ["InferRequest", "echo", "compute"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_collector_whose_issuer_nobody_trusts_gets_no_spans(repository, protocol, tmp_path, monkeypatch, caplog):
    repository.add_identity("echo")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(Authority().certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    with collecting(protocol, Authority().sign("collector")) as collector:
        with windlass.Server(repository.path, http_port=0, grpc_port=None, **telemetry(collector)) as server:
            ask(server, "echo")

        assert not collector.spans
    assert f"the collector at `{collector.url}` took no spans, 3 are lost: " in caplog.text
    assert "certificate" in caplog.text


def test_a_collector_that_cannot_be_spoken_to_is_refused_at_the_start(repository):
    setup = ("mode=opentelemetry", "opentelemetry,url=ftp://collector/v1/traces")

    with pytest.raises(ServerError, match="expected http://HOST:PORT/PATH, or https:// for TLS"):
        windlass.Server(repository.path, http_port=0, grpc_port=None, trace_config=setup).start()


def test_a_collector_that_is_away_costs_its_spans_and_nothing_else(repository, serve, caplog):
    repository.add_identity("echo")
    with collecting("http/protobuf") as collector:
        settings = telemetry(collector)
    server = serve(**settings)
    ask(server, "echo")
    server.stop()
    assert "took no spans, 3 are lost" in caplog.text


@pytest.fixture(params=["http", "grpc"])
def change(request) -> Iterator[Callable[..., dict[str, object]]]:
    """Ask for another trace setting with Triton's own client."""
    clients: list[object] = []

    def update(server: windlass.Server, **settings: object) -> dict[str, object]:
        if request.param == "http":
            client = http_client.InferenceServerClient(server.url().removeprefix("http://"))
            clients.append(client)
            return client.update_trace_settings(**settings)
        client = grpc_client.InferenceServerClient(server.url("grpc"))
        clients.append(client)
        answer = client.update_trace_settings(**settings, as_json=True)
        return {
            name: value["value"] if name == "trace_level" else value["value"][0]
            for name, value in answer["settings"].items()
        }

    yield update
    for client in clients:
        client.close()


def test_settings_of_a_model_hide_those_of_the_server_until_they_are_reset(repository, serve, change, tmp_path):
    repository.add_identity("echo")
    repository.add_identity("other")
    file = tmp_path / "trace.json"
    server = serve(trace_config=("level=OFF", f"triton,file={file}"))

    told = change(server, model_name="echo", settings={"trace_level": ["TIMESTAMPS"], "trace_rate": "1"})
    assert (told["trace_level"], told["trace_rate"], told["trace_file"]) == (["TIMESTAMPS"], "1", str(file))
    ask(server, "echo")
    ask(server, "other")
    told = change(server, model_name="echo", settings={"trace_level": None, "trace_rate": None})
    assert told["trace_rate"] == "1000"
    ask(server, "echo")
    server.stop()

    assert models(file) == ["echo"]


def models(file: Path) -> list[str]:
    return [entry["model_name"] for entry in json.loads(file.read_text()) if "model_name" in entry]


def test_a_trace_holds_what_the_tensors_held(repository, serve, tmp_path):
    repository.add_identity("echo")
    file = tmp_path / "trace.json"
    server = serve(trace_config=("level=TIMESTAMPS", "level=TENSORS", "rate=2", f"triton,file={file}"))
    for _ in range(4):
        ask(server, "echo")
    server.stop()

    entries = json.loads(file.read_text())
    assert models(file) == ["echo", "echo"]
    tensors = [(entry["activity"], entry["tensor"]) for entry in entries if "activity" in entry and entry["id"] == 1]
    value = {"data": "1,2.5", "shape": "1,2", "dtype": "FP32"}
    assert tensors == [
        ("TENSOR_QUEUE_INPUT", {"name": "INPUT0", **value}),
        ("TENSOR_BACKEND_INPUT", {"name": "INPUT0", **value}),
        ("TENSOR_BACKEND_OUTPUT", {"name": "OUTPUT0", **value}),
    ]


def stations(file: Path, number: int) -> list[str]:
    entries = [entry for entry in json.loads(file.read_text()) if entry["id"] == number and "timestamps" in entry]
    return [entry["timestamps"][0]["name"] for entry in entries]


def test_a_trace_ends_whatever_becomes_of_its_request(repository, serve, tmp_path):
    repository.add_identity("echo", extra="response_cache { enable: true }")
    file = tmp_path / "trace.json"
    server = serve(trace_config=("level=TIMESTAMPS", "rate=1", f"triton,file={file}"), cache_bytes=1 << 20)
    ask(server, "echo")
    ask(server, "echo")
    refused = httpx.post(
        f"{server.url()}/v2/models/echo/infer",
        json={"inputs": [{"name": "INPUT0", "shape": [9, 1], "datatype": "FP32", "data": [1.0] * 9}]},
    )
    assert refused.status_code == 400
    server.stop()
    model = ["REQUEST_START", "QUEUE_START", "INFER_RESPONSE_COMPLETE", "REQUEST_END"]
    assert [name for name in stations(file, 2) if not name.startswith("HTTP_")] == model
    assert [name for name in stations(file, 3) if not name.startswith("HTTP_")] == ["REQUEST_START", "REQUEST_END"]
