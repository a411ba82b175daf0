"""The same questions to windlass and to the real Triton: equal answers, or a difference that is meant.

Runs where ``make oracle`` has installed the real server; says so and skips elsewhere.
"""

import http.client
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2_grpc

from oracle import repository
from oracle.cases import TYPES, Rest, Rpc, rest_cases, rpc_cases
from oracle.meant import MEANT

ROOT = Path(__file__).parent.parent.parent

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(
        not (ROOT / ".peers" / "triton" / ".ready").exists(), reason="`make oracle` installs the real Triton"
    ),
]

MODEL = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            array = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", array)]))
        return answers
"""

RAISES = """
class TritonPythonModel:
    def initialize(self, args):
        self.name = args["model_instance_name"]

    def execute(self, requests):
        raise ValueError(f"{self.name} says no")
"""


def write_models(folder: Path) -> None:
    def add(name: str, data_type: str, dims: str = "-1", batch: int = 8, more: str = "") -> None:
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "1" / "model.py").write_text(MODEL)
        inputs = "".join(
            f'input {{ name: "{i}" data_type: {data_type} dims: {dims} }}\n' for i in ("INPUT0", *more.split())
        )
        (folder / name / "config.pbtxt").write_text(
            f'backend: "python" max_batch_size: {batch}\n{inputs}'
            f'output {{ name: "OUTPUT0" data_type: {data_type} dims: {dims} }}\ninstance_group {{ kind: KIND_CPU }}\n'
        )

    for data_type in TYPES:
        add(data_type.lower(), f"TYPE_{data_type}")
    add("string", "TYPE_STRING")
    add("raises", "TYPE_FP32")
    (folder / "raises" / "1" / "model.py").write_text(RAISES)
    add("spare", "TYPE_FP32")
    add("flat", "TYPE_FP32", batch=0)
    add("fixed", "TYPE_FP32", dims="2")
    add("two", "TYPE_FP32", more="INPUT1")


@contextmanager
def served(
    which: str, folder: Path, port: int, write: Callable[[Path], None] = write_models
) -> Iterator[tuple[int, grpc.Channel]]:
    sys.path.insert(0, str(ROOT))
    from benchmarks import peers

    write(folder)
    command = peers.triton_command if which == "triton" else peers.windlass_command
    options = ["--model-control-mode=explicit", "--load-model=*"]
    line, extra = command(folder, port, port + 1, port + 2, *options)
    log = folder.with_suffix(".log")
    with log.open("w") as sink:
        process = subprocess.Popen(line, env={**os.environ, **extra}, stdout=sink, stderr=sink, start_new_session=True)
    try:
        peers.wait(which, process, f"http://127.0.0.1:{port}/v2/health/ready", log)
        with grpc.insecure_channel(f"127.0.0.1:{port + 1}") as channel:
            yield port, channel
    finally:
        peers.end(process)


def ask_rest(port: int, case: Rest) -> tuple[int, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(case.method, case.path, case.body, case.headers)
        response = connection.getresponse()
        body = response.read()
    length = response.headers.get("Inference-Header-Content-Length")
    if length:
        return response.status, (normal(body[: int(length)]), body[int(length) :].hex())
    return response.status, normal(body)


def normal(body: bytes) -> Any:
    try:
        return comparable(json.loads(body))
    except ValueError:
        return body.decode(errors="replace")


def comparable(value: Any) -> Any:
    """What differs by nature is taken out: the server's own name, times, and the order of the index."""
    if isinstance(value, dict):
        return comparable_object(value)
    if isinstance(value, list):
        members = [comparable(member) for member in value]
        index = members and isinstance(members[0], dict) and "state" in str(members)
        return sorted(members, key=lambda m: m["name"]) if index else members
    if isinstance(value, str):
        return re.sub(r"/\S*/raises/", "raises/", value)
    if isinstance(value, float):
        return "nan" if math.isnan(value) else float(f"{value:.6g}")
    return value


def comparable_object(value: dict[str, Any]) -> Any:
    if "extensions" in value:
        return "server metadata"
    if "version_policy" in value:
        # A configuration: what it says counts, not in which order.
        return json.loads(json.dumps(value, sort_keys=True))
    if value.keys() == {"count", "ns"}:
        return value["count"]
    if value.get("state") in ("UNLOADING", "UNAVAILABLE"):
        # Triton answers before the instances are gone.
        return {"name": value["name"], "state": "going or gone"}
    if "last_inference" in value:
        value = {**value, "last_inference": value["last_inference"] > 0}
    return {key: comparable(member) for key, member in value.items()}


def ask_rpc(channel: grpc.Channel, case: Rpc) -> tuple[str, Any]:
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    try:
        answer = getattr(stub, case.method)(case.message, timeout=20)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", str(answer)


def equal(ours: Any, theirs: Any) -> bool:
    return re.sub(r"\s+$", "", str(ours)) == re.sub(r"\s+$", "", str(theirs))


def test_windlass_answers_as_the_real_triton_does(tmp_path: Path) -> None:
    answers: dict[str, dict[str, Any]] = {}
    for which, port in (("triton", 18200), ("windlass", 18210)):
        with served(which, tmp_path / which, port) as (http_port, channel):
            found = {f"REST {case.name}": ask_rest(http_port, case) for case in rest_cases()}
            found |= {f"gRPC {case.name}": ask_rpc(channel, case) for case in rpc_cases()}
            found |= {f"REST {case.name}": ask_rest(http_port, case) for case in repository.rest_cases()}
            found |= {f"gRPC {case.name}": ask_rpc(channel, case) for case in repository.rpc_cases()}
            answers[which] = found
    different = []
    used = set()
    for name, theirs in answers["triton"].items():
        ours = answers["windlass"][name]
        if equal(ours, theirs):
            continue
        reason = next((pattern for pattern in MEANT if re.fullmatch(pattern, name)), None)
        if reason is not None and MEANT[reason].holds(theirs, ours):
            used.add(reason)
        else:
            different.append(f"{name}\n    triton:   {theirs}\n    windlass: {ours}")
    assert not different, f"{len(different)} of {len(answers['triton'])} answers differ:\n" + "\n".join(different)
    assert used == set(MEANT), f"no longer needed: {sorted(set(MEANT) - used)}"
