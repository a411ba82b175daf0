"""Triton's own load generator in every mode it has for servers of this protocol: it ends well and reports no error.

Runs where ``make perf-analyzer`` has installed it; says so and skips elsewhere. Nothing is measured: windows are short.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PERF = ROOT / ".peers" / "perf" / "perf_analyzer"

sys.path.insert(0, str(ROOT))

from benchmarks import peers  # noqa: E402 - beside src, not in it

pytestmark = [
    pytest.mark.perf_analyzer,
    pytest.mark.skipif(not PERF.exists(), reason="`make perf-analyzer` installs Triton's load generator"),
]

IDENTITY = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        arrays = [pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", array)]) for array in arrays]
"""

# Windows as short as they may be, and content with every spread: errors are looked for, not figures.
QUICK = ["-p", "300", "-s", "999", "-r", "3", "--max-threads", "8"]

DATA = {"numbers": [{"INPUT0": [1.5] * 16}, {"INPUT0": [2.5] * 16}], "text": [{"INPUT0": ["hello"]}, {"INPUT0": ["ä"]}]}

MODES = {
    "http": "-m numbers",
    "http async": "-m numbers --async --concurrency-range 8",
    "http batch": "-m numbers -b 4",
    "http json tensors": "-m numbers --input-tensor-format json --output-tensor-format json",
    "http text": "-m text --string-length 12",
    "http text in json": "-m text --string-data hello --input-tensor-format json --output-tensor-format json",
    "http input data": "-m numbers --input-data {numbers}",
    "http text input data": "-m text --input-data {text}",
    "http zeroes": "-m numbers --input-data zero",
    "http shape": "-m open --shape INPUT0:7",
    "http version": "-m numbers -x 1",
    "http percentile": "-m numbers --percentile 95",
    "http concurrencies": "-m numbers --concurrency-range 1:3:1",
    "http rate": "-m numbers --request-rate-range 100",
    "http rate, poisson": "-m numbers --request-rate-range 100:200:100 --request-distribution poisson",
    "http intervals": "-m numbers --request-intervals {intervals}",
    "http counted": "-m numbers --measurement-mode count_windows --measurement-request-count 50",
    "http request count": "-m numbers --request-count 100",
    "http headers": "-m numbers -H X-Some:thing",
    "http metrics": "-m numbers --collect-metrics --metrics-url 127.0.0.1:{metrics}/metrics",
    "grpc": "-m numbers -i grpc",
    "grpc async": "-m numbers -i grpc --async --concurrency-range 8",
    "grpc batch": "-m numbers -i grpc -b 4",
    "grpc many": "-m numbers -i grpc --concurrency-range 64",
    "grpc text": "-m text -i grpc --string-length 12",
    "grpc input data": "-m numbers -i grpc --input-data {numbers}",
    "grpc percentile": "-m numbers -i grpc --percentile 99",
    "grpc rate": "-m numbers -i grpc --request-rate-range 100",
    "grpc async rate": "-m numbers -i grpc --async --request-rate-range 100",
    "grpc gzip": "-m numbers -i grpc --grpc-compression-algorithm gzip",
    "grpc deflate": "-m numbers -i grpc --grpc-compression-algorithm deflate",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("perf_analyzer")
    for name, data_type, dims in (("numbers", "FP32", 16), ("open", "FP32", -1), ("text", "STRING", 1)):
        (folder / "models" / name / "1").mkdir(parents=True)
        (folder / "models" / name / "1" / "model.py").write_text(IDENTITY)
        (folder / "models" / name / "config.pbtxt").write_text(
            f'backend: "python" max_batch_size: 64 dynamic_batching {{}}\n'
            f'input {{ name: "INPUT0" data_type: TYPE_{data_type} dims: {dims} }}\n'
            f'output {{ name: "OUTPUT0" data_type: TYPE_{data_type} dims: {dims} }}\n'
        )
    for name, rows in DATA.items():
        (folder / f"{name}.json").write_text(json.dumps({"data": rows}))
    (folder / "intervals").write_text("5000\n10000\n")
    files = {"numbers": "numbers.json", "text": "text.json", "intervals": "intervals"}
    with peers.running("windlass", folder / "models") as server:
        ports = {"http": server.http, "grpc": server.grpc, "metrics": server.http + 2}
        yield {**{name: str(folder / file) for name, file in files.items()}, **{k: str(v) for k, v in ports.items()}}


@pytest.mark.parametrize("mode", MODES)
def test_it_ends_well(served: dict[str, str], mode: str) -> None:
    binary, environment = peers.perf_analyzer()
    door = "grpc" if mode.startswith("grpc") else "http"
    arguments = [*MODES[mode].format_map(served).split(), "-u", f"127.0.0.1:{served[door]}", *QUICK]

    done = subprocess.run(
        [str(binary), *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )

    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert not re.search(r"\b(error|fail)", told, re.IGNORECASE), told
    assert re.search(r"throughput: [1-9]", told), told
