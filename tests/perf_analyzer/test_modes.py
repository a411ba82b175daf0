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

SEVERAL = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            array = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            for _ in range(3):
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", array)]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

START = 'control_input { name: "START" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }'

STEPS = """
ensemble_scheduling {
  step { model_name: "numbers" model_version: -1 input_map { key: "INPUT0" value: "INPUT0" }
         output_map { key: "OUTPUT0" value: "middle" } }
  step { model_name: "numbers" model_version: -1 input_map { key: "INPUT0" value: "middle" }
         output_map { key: "OUTPUT0" value: "OUTPUT0" } }
}
"""

# Name, data type, dimensions, what makes it one of its kind, and how it answers.
MODELS = (
    ("numbers", "FP32", 16, "dynamic_batching {}", IDENTITY),
    ("open", "FP32", -1, "dynamic_batching {}", IDENTITY),
    ("text", "STRING", 1, "dynamic_batching {}", IDENTITY),
    ("several", "FP32", 16, "model_transaction_policy { decoupled: true }", SEVERAL),
    ("sequences", "FP32", 16, f"sequence_batching {{ oldest {{ max_candidate_sequences: 64 }} {START} }}", IDENTITY),
    ("cached", "FP32", 16, "response_cache { enable: true }", IDENTITY),
    ("ensemble", "FP32", 16, STEPS, ""),
)

PLATFORM = {True: 'backend: "python"', False: 'platform: "ensemble"'}

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
    "grpc streaming": "-m numbers -i grpc --streaming",
    "grpc streaming async": "-m numbers -i grpc --streaming --async --concurrency-range 8",
    "grpc streaming rate": "-m numbers -i grpc --streaming --request-rate-range 100",
    "grpc decoupled": "-m several -i grpc --streaming --async --concurrency-range 4",
    "http sequences": "-m sequences --async --concurrency-range 4 --sequence-length 5",
    "http sequences, rate": "-m sequences --request-rate-range 50 --num-of-sequences 3",
    "grpc sequences": "-m sequences -i grpc --async --concurrency-range 4 --sequence-length 5",
    "grpc sequences, streaming": "-m sequences -i grpc --streaming --async --concurrency-range 4 --sequence-length 5",
    "http shared memory": "-m numbers --shared-memory system --output-shared-memory-size 65536",
    "http shared memory, batch": "-m numbers --shared-memory system --output-shared-memory-size 65536 -b 4",
    "http shared memory, async": "-m numbers --shared-memory system --async --concurrency-range 8",
    "grpc shared memory": "-m numbers -i grpc --shared-memory system --output-shared-memory-size 65536",
    "grpc shared memory, async": "-m numbers -i grpc --async --shared-memory system --concurrency-range 8",
    "http ensemble": "-m ensemble",
    "grpc ensemble": "-m ensemble -i grpc",
    "http cached": "-m cached --input-data {numbers}",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("perf_analyzer")
    for name, data_type, dims, kind, source in MODELS:
        (folder / "models" / name / "1").mkdir(parents=True)
        if source:
            (folder / "models" / name / "1" / "model.py").write_text(source)
        (folder / "models" / name / "config.pbtxt").write_text(
            f"{PLATFORM[bool(source)]} max_batch_size: 64 {kind}\n"
            f'input {{ name: "INPUT0" data_type: TYPE_{data_type} dims: {dims} }}\n'
            f'output {{ name: "OUTPUT0" data_type: TYPE_{data_type} dims: {dims} }}\n'
        )
    for name, rows in DATA.items():
        (folder / f"{name}.json").write_text(json.dumps({"data": rows}))
    (folder / "intervals").write_text("5000\n10000\n")
    files = {"numbers": "numbers.json", "text": "text.json", "intervals": "intervals"}
    options = ("--allow-client-shm=true", "--cache-config=local,size=1048576")
    with peers.running("windlass", folder / "models", *options) as server:
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
