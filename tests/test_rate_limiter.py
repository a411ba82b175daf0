"""Instances that share resources, as a user of ``--rate-limit`` sets them up."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException

import windlass
from conftest import Repository
from windlass.serving.limits import ResourceLimit

# Answers with the number of instances that executed at the same time, by the files they leave while they do.
COUNTS = """
import os
import pathlib
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.folder = pathlib.Path(args["model_repository"]).parent.parent / "executing"
        self.mine = self.folder / args["model_instance_name"]

    def execute(self, requests):
        self.mine.touch()
        time.sleep(0.01)
        count = len(list(self.folder.iterdir()))
        self.mine.unlink()
        output = pb_utils.Tensor("OUTPUT0", np.full((1, 1), count, np.float32))
        return [pb_utils.InferenceResponse([output]) for _ in requests]
"""


def config(resources: str, count: int = 2, more: str = "") -> str:
    return (
        'backend: "python" max_batch_size: 1 input { name: "INPUT0" data_type: TYPE_FP32 dims: [ 1 ] } '
        'output { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 1 ] } '
        f"instance_group {{ kind: KIND_CPU count: {count} rate_limiter {{ {resources} }} }} {more}"
    )


def one(client: object, model: str, kind: type) -> float:
    given = kind("INPUT0", [1, 1], "FP32")
    given.set_data_from_numpy(np.zeros((1, 1), np.float32))
    return float(client.infer(model, [given]).as_numpy("OUTPUT0")[0, 0])


@pytest.fixture(scope="module", params=["true", "false"], ids=["isolated", "in process"])
def server(request, tmp_path_factory) -> Iterator[windlass.Server]:
    folder = tmp_path_factory.mktemp("limits")
    (folder / "executing").mkdir()
    repository = Repository(folder / "models")
    where = f'parameters {{ key: "isolated" value {{ string_value: "{request.param}" }} }}'
    resource = 'resources [ { name: "R" count: %d }, { name: "G" global: true count: 1 } ]'
    repository.add("small", COUNTS, config(resource % 1, 2, where))
    repository.add("large", COUNTS, config(resource % 2 + " priority: 2", 1, where))
    repository.add("free", COUNTS, config("", 1, where))
    repository.add("greedy", COUNTS, config('resources [ { name: "R" count: 9 } ]', 1, where))
    repository.add("unlisted", COUNTS, config('resources [ { name: "S" count: 1 } ]', 1, where))
    limits = (ResourceLimit("R", 2), ResourceLimit("G", 2))
    doors = {"http_port": 0, "grpc_port": 0, "metrics_port": None, "control_mode": "explicit", "models": ("*",)}
    with windlass.Server(repository.path, rate_limit=True, resource_limits=limits, **doors) as server:
        yield server


def test_no_more_execute_than_there_are_resources(server):
    def ask(model: str) -> list[float]:
        with grpc_client.InferenceServerClient(server.addresses["grpc"]) as client:
            return [one(client, model, grpc_client.InferInput) for _ in range(8)]

    with ThreadPoolExecutor(6) as pool:
        counts = dict(zip("abcdef", pool.map(ask, ["small"] * 4 + ["large"] * 2), strict=True))

    assert all(count <= 2 for found in counts.values() for count in found)
    assert set(counts["e"] + counts["f"]) == {1}, "`large` needs all of R"
    with http_client.InferenceServerClient(server.addresses["http"]) as client:
        totals = {
            name: client.get_inference_statistics(name)["model_stats"][0]["inference_stats"]
            for name in ("small", "large")
        }
    assert {name: total["success"]["count"] for name, total in totals.items()} == {"small": 32, "large": 16}
    assert totals["large"]["queue"]["ns"] > 0
    assert totals["large"]["fail"]["count"] == 0


def test_what_could_never_execute_does_not_load_and_says_why(server):
    reasons = {row["name"]: row.get("reason", "") for row in server.index()}

    limited = "which will prevent scheduling of one or more model instances, the minimum required count is"
    assert f'Resource count for "R" is limited to 2 {limited} 9' in reasons["greedy"]
    assert f'Resource count for "S" is limited to 0 {limited} 1' in reasons["unlisted"]
    assert reasons["free"] == reasons["small"] == ""


def test_a_resource_is_shared_by_all_devices_or_by_none(server):
    shared = config('resources [ { name: "R" count: 1 global: true } ]', 1)
    Repository(server.repositories[0]).add("confused", COUNTS, shared)

    with (
        http_client.InferenceServerClient(server.addresses["http"]) as client,
        pytest.raises(InferenceServerException) as refusal,
    ):
        client.load_model("confused")

    text = 'Resource "R" is present as both global and device-specific resource in the model configuration.'
    assert text in refusal.value.message()


def test_without_the_limiter_a_group_s_needs_mean_nothing(tmp_path: Path):
    (tmp_path / "executing").mkdir()
    repository = Repository(tmp_path / "models")
    repository.add("greedy", COUNTS, config('resources [ { name: "R" count: 9 } ]', 1))
    limits = (ResourceLimit("R", 2),)
    with (
        windlass.Server(
            repository.path, resource_limits=limits, http_port=0, grpc_port=None, metrics_port=None
        ) as server,
        http_client.InferenceServerClient(server.addresses["http"]) as client,
    ):
        assert one(client, "greedy", http_client.InferInput) == 1
