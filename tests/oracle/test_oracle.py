"""The same questions to windlass and to the real Triton: equal answers, or a difference that is meant.

Runs where ``make oracle`` has installed the real server; says so and skips elsewhere.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from oracle import (
    cases,
    configurations,
    kept,
    meant,
    members,
    models,
    operations,
    pipelines,
    repository,
    scheduling,
    sequences,
    settings,
    tensors,
    warmups,
)
from oracle.servers import needs_triton
from oracle.suite import Suite

pytestmark = needs_triton

SUITES = {
    "protocol": Suite(
        models.write_models,
        lambda: [*cases.rest_cases(), *cases.rpc_cases(), *repository.rest_cases(), *repository.rpc_cases()],
        meant.MEANT,
    ),
    "configurations": Suite(
        configurations.write_models, configurations.cases, configurations.MEANT, ["--strict-model-config=true"]
    ),
    "tensors": Suite(tensors.write_models, tensors.cases, tensors.MEANT),
    "operations": Suite(
        operations.write_models,
        lambda: [*members.cases(), *scheduling.cases(), *settings.cases()],
        members.MEANT | scheduling.MEANT | settings.MEANT,
        ["--trace-config=triton,file=/dev/null", "--log-info=true"],
    ),
    "pipelines": Suite(pipelines.write_models, pipelines.cases, pipelines.MEANT),
    "kept": Suite(kept.write_models, kept.cases, kept.MEANT, kept.OPTIONS),
    "warmups": Suite(warmups.write_models, warmups.cases, warmups.MEANT),
    "sequences": Suite(sequences.write_models, sequences.cases, sequences.MEANT),
}


@pytest.fixture(autouse=True)
def _segments() -> Iterator[None]:
    """Take the shared memory away that one of the repositories comes with."""
    yield
    for segment in tensors.SEGMENTS.values():
        segment.unlink(missing_ok=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SUITES)
def test_windlass_answers_as_the_real_triton_does(name: str, tmp_path: Path) -> None:
    suite = SUITES[name]
    theirs, ours = (suite.ask_all(which, tmp_path / which) for which in ("triton", "windlass"))

    different = suite.differences(theirs, ours)

    assert not different, f"{len(different)} of {len(theirs)} answers differ:\n" + "\n".join(different)
