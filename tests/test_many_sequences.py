"""A thousand sequences at once through models that remember and a server that does, also when processes are killed."""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc.aio as grpc_client
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException

import windlass
from conftest import Repository

# Adds up what each sequence sends, in itself or in a state that the server keeps. Leaves the number of its process.
SUMS = """
import os
import pathlib

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}
        pathlib.Path(args["model_repository"], f"pid_{args['model_instance_name']}").write_text(str(os.getpid()))

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        tensors = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        value, key = tensors["INPUT0"], request.correlation_id()
        if "TOTAL" in tensors:
            total = tensors["TOTAL"] + value
            return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", total), pb_utils.Tensor("SUM", total)])
        if not tensors["READY"].flat[0]:
            return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", value)])
        if tensors["START"].flat[0]:
            self.sums[key] = value
        else:
            self.sums[key] = self.sums[key] + value
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", self.sums[key])])
"""
CONTROLS = """
control_input { name: "START" control { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } }
control_input { name: "READY" control { kind: CONTROL_SEQUENCE_READY int32_false_true: [ 0, 1 ] } }
"""
STATE = 'state { input_name: "TOTAL" output_name: "SUM" data_type: TYPE_FP32 dims: [ 1 ] }'
OLDEST = "max_sequence_idle_microseconds: 60000000 oldest { max_candidate_sequences: 64 }"
DIRECT = "max_sequence_idle_microseconds: 60000000 direct {}"
MODELS = {
    "oldest": OLDEST + CONTROLS,
    "direct": DIRECT + CONTROLS,
    "remembered": OLDEST + STATE,
    "forgotten": OLDEST + CONTROLS,
    "recalled": DIRECT + STATE,
}
SEQUENCES, STEPS = 1000, 5


@pytest.fixture(scope="module", params=["true", "false"], ids=["isolated", "in process"])
def server(request, tmp_path_factory) -> Iterator[windlass.Server]:
    repository = Repository(tmp_path_factory.mktemp("models"))
    for name, batching in MODELS.items():
        repository.add(
            name,
            SUMS,
            'backend: "python" max_batch_size: 32 instance_group { kind: KIND_CPU count: 2 } '
            f'parameters {{ key: "isolated" value {{ string_value: "{request.param}" }} }} '
            'input { name: "INPUT0" data_type: TYPE_FP32 dims: [ 1 ] } '
            f'output {{ name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 1 ] }} sequence_batching {{ {batching} }}',
        )
    with windlass.Server(repository.path, http_port=0, grpc_port=0, metrics_port=None) as server:
        yield server


async def step(client: grpc_client.InferenceServerClient, model: str, sequence: int, place: int) -> float:
    given = grpc_client.InferInput("INPUT0", [1, 1], "FP32")
    given.set_data_from_numpy(np.array([[values(sequence)[place]]], np.float32))
    ends = {"sequence_start": place == 0, "sequence_end": place == STEPS - 1}
    answer = await client.infer(model, [given], sequence_id=sequence, **ends)
    return float(answer.as_numpy("OUTPUT0")[0, 0])


def values(sequence: int) -> list[int]:
    return [random.Random(sequence * STEPS + place).randint(1, 100) for place in range(STEPS)]


def sums(sequence: int) -> list[float]:
    return [float(sum(values(sequence)[: place + 1])) for place in range(STEPS)]


@pytest.mark.parametrize("model", ["oldest", "direct", "remembered"])
def test_a_thousand_sequences_at_once_are_all_right(server, model):
    async def talk(client: grpc_client.InferenceServerClient, sequence: int) -> list[float]:
        return [await step(client, model, sequence, place) for place in range(STEPS)]

    async def talk_all() -> list[list[float]]:
        async with grpc_client.InferenceServerClient(server.addresses["grpc"]) as client:
            return await asyncio.gather(*(talk(client, sequence) for sequence in range(1, SEQUENCES + 1)))

    found = asyncio.run(talk_all())

    assert found == [sums(sequence) for sequence in range(1, SEQUENCES + 1)]
    with http_client.InferenceServerClient(server.addresses["http"]) as client:
        totals = client.get_inference_statistics(model)["model_stats"][0]
    assert totals["inference_stats"]["success"]["count"] == totals["inference_count"] == SEQUENCES * STEPS
    assert totals["inference_stats"]["fail"]["count"] == 0
    assert totals["execution_count"] < SEQUENCES * STEPS, "requests of different sequences share batches"


in_processes_of_their_own = pytest.mark.parametrize("server", ["true"], indirect=True, ids=["isolated"])


class Killer:
    """Kills the processes of a model, one after the other, whenever so many answers have come."""

    def __init__(self, server: windlass.Server, model: str, every: int) -> None:
        self.notes = sorted(Path(server.repositories[0], model).glob("pid_*"))
        self.every, self.answers, self.kills = every, 0, 0

    def note_an_answer(self) -> None:
        self.answers += 1
        if self.answers % self.every == 0:
            os.kill(int(self.notes[self.kills % len(self.notes)].read_text()), signal.SIGKILL)
            self.kills += 1


@in_processes_of_their_own
def test_sequences_of_a_process_that_is_killed_are_told_so_and_none_goes_on_wrong(server):
    killer = Killer(server, "forgotten", every=1200)
    told: list[str] = []

    async def talk(client: grpc_client.InferenceServerClient, sequence: int) -> list[float]:
        while True:
            found = []
            try:
                for place in range(STEPS):
                    found.append(await step(client, "forgotten", sequence, place))
                    killer.note_an_answer()
            except InferenceServerException as error:
                told.append(error.message())
            else:
                return found

    async def talk_all() -> list[list[float]]:
        async with grpc_client.InferenceServerClient(server.addresses["grpc"]) as client:
            return await asyncio.gather(*(talk(client, sequence) for sequence in range(1, SEQUENCES + 1)))

    found = asyncio.run(talk_all())

    assert found == [sums(sequence) for sequence in range(1, SEQUENCES + 1)]
    assert killer.kills >= 3
    assert told, "somebody had begun"
    assert {text for text in told if "ended early" not in text and "not healthy" not in text} == set()


@in_processes_of_their_own
def test_what_the_server_remembers_goes_on_where_it_was_after_a_process_was_killed(server):
    killer = Killer(server, "recalled", every=1500)
    told: list[str] = []

    async def talk(client: grpc_client.InferenceServerClient, sequence: int) -> list[float]:
        found: list[float] = []
        while len(found) < STEPS:
            try:
                found.append(await step(client, "recalled", sequence, len(found)))
                killer.note_an_answer()
            except InferenceServerException as error:
                told.append(error.message())
                # A failed request may be repeated; the last one has ended its sequence all the same.
                if len(found) == STEPS - 1:
                    found.clear()
        return found

    async def talk_all() -> list[list[float]]:
        async with grpc_client.InferenceServerClient(server.addresses["grpc"]) as client:
            return await asyncio.gather(*(talk(client, sequence) for sequence in range(1, SEQUENCES + 1)))

    found = asyncio.run(talk_all())

    assert found == [sums(sequence) for sequence in range(1, SEQUENCES + 1)]
    assert killer.kills >= 3
    assert {text for text in told if "not healthy" not in text} == set()
