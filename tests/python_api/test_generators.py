"""Generators under ``@windlass.model``: what they yield is streamed."""

import json
import threading
import time

import httpx
import pytest

MODEL = """
import asyncio
import time
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import TypedDict

import numpy as np
import windlass
from windlass import Tensor

HERE = Path(__file__).parent


"""
COUNT = """
@windlass.model{options}
def count(to: int, word: str = "n") -> Iterator[str]:
    for number in range(to):
        yield f"{{word}}{{number}}"
"""


@pytest.fixture
def served(repository, serve, mode):
    """Serve one source in one of the two modes."""

    def start(source: str, config: str = "") -> str:
        here = 'parameters { key: "isolated" value { string_value: "false" } }' if mode.startswith("the server") else ""
        group = "instance_group { kind: KIND_CPU }"
        repository.add("m", MODEL + source, f'backend: "python" {group} {here} {config}')
        return f"{serve().url()}/v2/models/m"

    return start


def streamed(url: str, **body: object) -> list[dict]:
    with httpx.stream("POST", f"{url}/generate_stream", json=body, timeout=20) as response:
        lines = list(response.iter_lines())
    said = [json.loads(line.removeprefix("data: ")) for line in lines if line]
    return [{name: value for name, value in one.items() if not name.startswith("model_")} for one in said]


@pytest.mark.parametrize("options", ["", "(max_batch_size=4)"])
def test_what_a_generator_yields_is_streamed(served, options):
    url = served(COUNT.format(options=options))

    assert streamed(url, to=3) == [{"output": "n0"}, {"output": "n1"}, {"output": "n2"}]
    assert streamed(url, to=1, word="x") == [{"output": "x0"}]
    assert httpx.get(f"{url}/config").json()["model_transaction_policy"] == {"decoupled": True}


def test_arrays_and_dictionaries_are_streamed(served):
    url = served(
        """
class Step(TypedDict):
    total: Tensor["FP32", 2]
    step: int


@windlass.model
class Sums:
    def __init__(self):
        self.factor = 2

    def __call__(self, x: Tensor["FP32", 2], steps: Tensor["INT32", 1]) -> Generator[Step, None, None]:
        for step in range(steps[0]):
            yield {"total": x * step * self.factor, "step": step}
"""
    )

    assert streamed(url, x=[1, 2], steps=[2]) == [{"total": [0, 0], "step": 0}, {"total": [2, 4], "step": 1}]


def test_a_generator_that_fails_ends_its_stream_with_the_reason(served):
    source = COUNT.format(options="").replace("yield f", "if number == 1: raise ValueError('enough')\n        yield f")
    url = served(source)

    first, failure = streamed(url, to=3)

    assert first == {"output": "n0"}
    assert "ValueError: enough" in failure["error"]
    assert streamed(url, to=1) == [{"output": "n0"}]


def test_asynchronous_generators_run_beside_each_other(served):
    url = served(
        """
@windlass.model
class Meeting:
    def __init__(self):
        self.here = 0

    async def __call__(self, name: str) -> AsyncIterator[str]:
        self.here += 1
        while self.here < 3:
            await asyncio.sleep(0.005)
        yield f"{name} met the others"
"""
    )
    answers: list[dict] = []

    threads = [threading.Thread(target=lambda n=n: answers.extend(streamed(url, name=f"g{n}"))) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer["output"] for answer in answers) == [f"g{n} met the others" for n in range(3)]


@pytest.mark.parametrize(("kind", "pause"), [("def", "time.sleep"), ("async def", "await asyncio.sleep")])
def test_a_generator_whose_client_has_gone_is_closed(served, repository, kind, pause):
    url = served(
        f"""
@windlass.model
{kind} endless(x: int) -> {"AsyncIterator" if "async" in kind else "Iterator"}[int]:
    try:
        while True:
            {pause}(0.01)
            yield x
    finally:
        (HERE / "closed").touch()
"""
    )

    with httpx.stream("POST", f"{url}/generate_stream", json={"x": 1}) as response:
        next(response.iter_lines())

    closed = repository.path / "m" / "1" / "closed"
    until = time.monotonic() + 10
    while not closed.exists():
        assert time.monotonic() < until, "it goes on for ever"
        time.sleep(0.01)
