"""What GPUs do, on the metrics page; NVML is a stand-in."""

import ctypes.util
import re
from pathlib import Path

import httpx
import pytest

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
