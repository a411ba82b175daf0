"""The metrics page, as a dashboard reads it."""

import re

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client

import windlass
from windlass.errors import ServerError

DECOUPLED = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            tensor = pb_utils.Tensor("OUTPUT0", pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy())
            for _ in range(3):
                sender.send(pb_utils.InferenceResponse([tensor]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
DECOUPLED_CONFIG = """
backend: "python" max_batch_size: 8
input { name: "INPUT0" data_type: TYPE_FP32 dims: -1 }
output { name: "OUTPUT0" data_type: TYPE_FP32 dims: -1 }
model_transaction_policy { decoupled: true }
"""
BOUNDS = """
model_metrics { metric_control {
  metric_identifier { family: "nv_inference_first_response_histogram_ms" }
  histogram_options { buckets: [ 1, 60000 ] }
} }
"""


def ask(server: windlass.Server, model: str, times: int = 1) -> None:
    tensor = {"name": "INPUT0", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    for _ in range(times):
        httpx.post(f"{server.url()}/v2/models/{model}/infer", json={"inputs": [tensor]}).raise_for_status()


def page(server: windlass.Server) -> str:
    return httpx.get(f"{server.url('metrics')}/metrics").text


def value(text: str, name: str, *labels: str) -> float:
    """The one value of that name with these labels."""
    rows = [row for row in text.splitlines() if re.match(rf"{name}(\{{| )", row)]
    found = [row for row in rows if all(label in row for label in labels)]
    assert len(found) == 1, found or rows
    return float(found[0].rpartition(" ")[2])


def test_tags_of_a_model_are_labels_of_its_metrics(repository, serve):
    extra = 'metric_tags { key: "team" value: "a\\"b" } metric_tags { key: "pay-tier" value: "gold" }'
    repository.add_identity("tagged", extra=extra)
    server = serve()
    ask(server, "tagged", 3)
    labels = '{model="tagged",version="1",_pay_tier="gold",_team="a\\"b"}'
    assert f"nv_inference_request_success{labels} 3" in page(server)


@pytest.mark.parametrize("isolated", ["true", "false"])
def test_our_histograms_hold_every_request_of_all_instances(repository, serve, isolated):
    extra = 'instance_group { count: 3 kind: KIND_CPU } parameters { key: "isolated" value { string_value: "%s" } }'
    repository.add_identity("three", extra=extra % isolated)
    server = serve()
    ask(server, "three", 20)
    text = page(server)
    for name in ("request_duration_seconds", "queue_duration_seconds", "compute_duration_seconds", "batch_size"):
        assert value(text, f"windlass_{name}_count") == 20
        assert value(text, f"windlass_{name}_bucket", 'le="+Inf"') == 20
    whole, parts = (
        value(text, "windlass_request_duration_seconds_sum"),
        value(text, "windlass_queue_duration_seconds_sum") + value(text, "windlass_compute_duration_seconds_sum"),
    )
    assert 0 < parts <= whole
    assert value(text, "nv_inference_request_duration_us") == pytest.approx(whole * 1e6, rel=0.01)


def test_summaries_are_there_when_they_are_asked_for(repository, serve):
    repository.add_identity("plain")
    repository.add_identity("kept", extra="response_cache { enable: true }")
    config = ("summary_latencies=true", "summary_quantiles=0.5:0.05,0.99:0.001")
    server = serve(metrics_config=config, cache_bytes=1 << 20)
    ask(server, "plain", 5)
    ask(server, "kept", 3)
    text = page(server)
    assert value(text, "nv_inference_request_summary_us_count") == 5
    for name in ("queue", "compute_input", "compute_infer", "compute_output"):
        assert value(text, f"nv_inference_{name}_summary_us_count", 'model="plain"') == 5
        assert value(text, f"nv_inference_{name}_summary_us", 'model="plain"', 'quantile="0.99"') >= 0
    half, most = (
        value(text, "nv_inference_request_summary_us", 'model="plain"', f'quantile="{q}"') for q in ("0.5", "0.99")
    )
    assert 0 < half <= most <= value(text, "nv_inference_request_summary_us_sum") * 1.01
    assert value(text, "nv_cache_hit_summary_per_model_count") == 2
    assert value(text, "nv_cache_miss_summary_per_model_count") == 1
    assert "summary" not in page(serve())


@pytest.mark.parametrize(("extra", "bounds"), [("", ["100", "500", "2000", "5000"]), (BOUNDS, ["1", "60000"])])
def test_the_first_answer_of_a_decoupled_model_has_a_histogram(repository, serve, extra, bounds):
    repository.add("many", DECOUPLED, DECOUPLED_CONFIG + extra)
    repository.add_identity("one")
    server = serve(metrics_config=("histogram_latencies=true",))
    ask(server, "one")
    tensor = grpc_client.InferInput("INPUT0", [1, 2], "FP32").set_data_from_numpy(np.ones((1, 2), np.float32))
    with grpc_client.InferenceServerClient(server.url("grpc")) as client:
        client.start_stream(lambda result, error: None)
        client.async_stream_infer("many", [tensor])
        client.stop_stream()
    text = page(server)
    name = "nv_inference_first_response_histogram_ms"
    assert re.findall(rf'{name}_bucket.*le="(\d+)"', text) == bounds
    assert value(text, f"{name}_count", 'model="many"') == 1
    assert 0 < value(text, f"{name}_sum") < 60_000


def test_times_are_left_out_when_they_are_not_wanted(repository, serve):
    repository.add_identity("plain")
    server = serve(metrics_config=("counter_latencies=false",))
    ask(server, "plain", 2)
    text = page(server)
    assert value(text, "nv_inference_request_success") == 2
    assert "duration_us" not in text


def test_the_machine_is_on_the_page(repository, serve):
    server = serve(metrics_interval_ms=1)
    text = page(server)
    assert 0 <= value(text, "nv_cpu_utilization") <= 1
    assert 0 < value(text, "nv_cpu_memory_used_bytes") < value(text, "nv_cpu_memory_total_bytes")
    assert value(text, "nv_pinned_memory_pool_total_bytes") == 0
    assert "nv_cpu" not in page(serve(cpu_metrics=False))


def test_a_setting_that_is_none_is_refused(serve):
    with pytest.raises(ServerError, match="--metrics-config `x=1`: expected counter_latencies"):
        serve(metrics_config=("x=1",))
