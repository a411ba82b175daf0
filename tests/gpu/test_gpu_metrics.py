"""What GPUs do, on the metrics page; NVML is a stand-in."""

import ctypes.util
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client

LATER = """
import threading

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            threading.Thread(target=self.answer, args=(request,)).start()

    def answer(self, request):
        sender = request.get_response_sender()
        tensor = pb_utils.Tensor("OUTPUT0", pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy())
        for _ in range(2):
            sender.send(pb_utils.InferenceResponse([tensor]))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
FIRST, SECOND = (f"GPU-00000000-0000-0000-0000-{number:012x}" for number in range(2))
GB = 1 << 30


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    """Two GPUs: utilization, memory in all and in use, power and its limit, energy."""
    path = tmp_path / "cards"
    path.write_text(f"37 {80 * GB} {3 * GB} 123456 700000 5000\n0 {24 * GB} 0 20000 300000 0\n")
    return path


def page(serving) -> str:
    return httpx.get(f"http://{serving.addresses['metrics']}/metrics").text


def rows(text: str) -> dict[tuple[str, str], float]:
    """Every value of a GPU, by its name and the GPU."""
    found = re.findall(r'^(nv_\w+)\{gpu_uuid="([^"]+)"\} (\S+)$', text, re.MULTILINE)
    return {(name, uuid): float(value) for name, uuid, value in found}


def test_every_gpu_is_on_the_page_in_the_units_of_the_protocol(start, cards):
    serving = start("--metrics-interval-ms=1", STANDIN_NVML=str(cards))
    cards.write_text(cards.read_text().replace(" 5000", " 8500"))

    text = page(serving)

    assert rows(text) == {
        ("nv_gpu_utilization", FIRST): 0.37,
        ("nv_gpu_memory_total_bytes", FIRST): 80 * GB,
        ("nv_gpu_memory_used_bytes", FIRST): 3 * GB,
        ("nv_gpu_power_usage", FIRST): 123.456,
        ("nv_gpu_power_limit", FIRST): 700,
        ("nv_energy_consumption", FIRST): 3.5,
        ("nv_gpu_utilization", SECOND): 0,
        ("nv_gpu_memory_total_bytes", SECOND): 24 * GB,
        ("nv_gpu_memory_used_bytes", SECOND): 0,
        ("nv_gpu_power_usage", SECOND): 20,
        ("nv_gpu_power_limit", SECOND): 300,
        ("nv_energy_consumption", SECOND): 0,
    }
    assert "# TYPE nv_gpu_utilization gauge" in text
    assert "# TYPE nv_energy_consumption counter" in text


def test_what_was_read_counts_as_new_for_the_interval(start, cards):
    serving = start("--metrics-interval-ms=3600000", STANDIN_NVML=str(cards))
    before = rows(page(serving))
    cards.write_text(cards.read_text().replace("37 ", "99 "))
    assert rows(page(serving)) == before


def test_what_a_gpu_does_not_tell_is_left_out_and_logged_once(start, cards):
    cards.write_text(f"37 {80 * GB} {3 * GB} ! 700000 -\n50 {24 * GB} 0 20000 300000 0\n")
    serving = start("--metrics-interval-ms=1", STANDIN_NVML=str(cards))

    text = page(serving)

    assert page(serving)
    names = {name for name, uuid in rows(text) if uuid == FIRST}
    assert names == {
        "nv_gpu_utilization", "nv_gpu_memory_total_bytes", "nv_gpu_memory_used_bytes", "nv_gpu_power_limit",
    }  # fmt: skip
    assert len([uuid for _, uuid in rows(text) if uuid == SECOND]) == 6
    told = [line for line in serving.messages() if line.startswith("GPU ")]
    known = [line.partition(":")[0] for line in told]
    assert known == ["GPU 0 does not tell its power", "GPU 0 does not tell its energy"]


def test_gpus_are_left_out_when_they_are_not_wanted(start, cards):
    serving = start("--allow-gpu-metrics=false", STANDIN_NVML=str(cards))
    text = page(serving)
    assert "nv_cpu_utilization" in text
    assert "nv_gpu" not in text
    assert "nv_energy" not in text
    assert not any("GPU" in line for line in serving.messages())


def test_without_a_metrics_page_no_gpu_is_asked(start):
    serving = start("--allow-metrics=false")
    assert not any("metrics of GPUs" in line for line in serving.messages())


@pytest.mark.parametrize(("gpus", "why"), [(0, "libnvidia-ml.so.1: cannot open"), (1, "driver is not loaded")])
def test_a_machine_without_nvml_says_so_once(start, gpus, why):
    if not gpus and ctypes.util.find_library("nvidia-ml"):
        pytest.skip("this machine has NVML")
    serving = start("--metrics-interval-ms=1", gpus=gpus)
    for _ in range(2):
        assert "nv_gpu" not in page(serving)
    told = [line for line in serving.messages() if line.startswith("no metrics of GPUs: ")]
    assert len(told) == 1
    assert why in told[0]


def ask(serving, model: str, times: int) -> None:
    tensor = {"name": "INPUT0", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    for _ in range(times):
        url = f"http://{serving.addresses['http']}/v2/models/{model}/infer"
        httpx.post(url, json={"inputs": [tensor]}).raise_for_status()


def series(text: str, name: str) -> dict[str, float]:
    """The values of a metric by their labels."""
    return {labels: float(value) for labels, value in re.findall(rf"^{name}\{{(.*)\}} (\S+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("isolated", ["true", "false"])
def test_what_instances_on_gpus_do_has_their_label(repository, start, isolated):
    place = f'parameters {{ key: "isolated" value {{ string_value: "{isolated}" }} }}'
    repository.add_identity("there", extra=place + " instance_group { kind: KIND_GPU gpus: [ 1 ] }")
    repository.add_identity("here", extra=place + " instance_group { kind: KIND_CPU }")
    serving = start()
    ask(serving, "there", 3)
    ask(serving, "here", 2)

    text = page(serving)

    there, here = 'model="there",version="1"', 'model="here",version="1"'
    on_gpu = f'{there},gpu_uuid="{SECOND}"'
    for name in ("nv_inference_request_success", "nv_inference_count", "windlass_batch_size_count"):
        assert series(text, name) == {there: 0, on_gpu: 3, here: 2}
    assert series(text, "nv_inference_compute_infer_duration_us")[on_gpu] > 0
    for name in ("nv_inference_pending_request_count", "nv_model_load_duration_secs"):
        assert set(series(text, name)) == {there, here}
    told = httpx.get(f"http://{serving.addresses['http']}/v2/models/there/stats").json()["model_stats"][0]
    assert (told["inference_count"], told["inference_stats"]["success"]["count"]) == (3, 3)
    assert [batch["compute_infer"]["count"] for batch in told["batch_stats"]] == [3]


def test_every_gpu_of_a_model_has_its_own_series(repository, start):
    repository.add_identity("echo", batch=1, extra="instance_group { kind: KIND_GPU }")
    serving = start()
    ask(serving, "echo", 5)
    counts = series(page(serving), "nv_inference_request_success")
    labels = [f'model="echo",version="1",gpu_uuid="{uuid}"' for uuid in (FIRST, SECOND)]
    assert set(counts) == {'model="echo",version="1"', *labels}
    assert sum(counts.values()) == 5


def test_answers_that_a_decoupled_model_gives_later_count_on_its_gpu(repository, start):
    config = (
        'backend: "python" model_transaction_policy { decoupled: true } instance_group { kind: KIND_GPU gpus: [ 0 ] }'
        'input { name: "INPUT0" data_type: TYPE_FP32 dims: 2 } output { name: "OUTPUT0" data_type: TYPE_FP32 dims: 2 }'
    )
    repository.add("later", LATER, config)
    serving = start("--metrics-config=histogram_latencies=true")
    tensor = grpc_client.InferInput("INPUT0", [2], "FP32").set_data_from_numpy(np.ones(2, np.float32))
    with grpc_client.InferenceServerClient(serving.addresses["grpc"]) as client:
        client.start_stream(lambda result, error: None)
        client.async_stream_infer("later", [tensor])
        client.stop_stream()

    text = page(serving)

    labels = f'model="later",version="1",gpu_uuid="{FIRST}"'
    for name in ("nv_inference_request_success", "nv_inference_first_response_histogram_ms_count"):
        assert series(text, name)[labels] == 1
    told = httpx.get(f"http://{serving.addresses['http']}/v2/models/later/stats").json()["model_stats"][0]
    assert sorted(told["response_stats"]) == ["0", "1", "2"]


def test_labels_of_gpus_are_left_out_with_their_metrics(repository, start):
    repository.add_identity("echo", extra="instance_group { kind: KIND_GPU }")
    serving = start("--allow-gpu-metrics=false")
    ask(serving, "echo", 2)
    assert series(page(serving), "nv_inference_request_success") == {'model="echo",version="1"': 2}
