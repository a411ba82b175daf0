"""The report of a run, with values."""

import json
import re
from pathlib import Path

import pytest

from windlass.config import parse_text
from windlass.optimize.tune import report
from windlass.optimize.tune.measure.questions import Questions
from windlass.optimize.tune.outcome import Outcome
from windlass.optimize.tune.report.commands import commands
from windlass.optimize.tune.report.facts import notes, verdict
from windlass.optimize.tune.report.tables import served_rows, variant_rows
from windlass.optimize.tune.search.accuracy import Accuracy, Requirement
from windlass.optimize.tune.search.ladder import Lap
from windlass.optimize.tune.search.objective import Objective, Score
from windlass.optimize.tune.space import Artefact, Batching, Candidate, Layout, Machine, Step, Unfit, Variant
from windlass.optimize.tune.space.configuration import configured
from windlass.optimize.tune.study import Study
from windlass.optimize.tune.survey import NO_TIME
from windlass.optimize.tune.trials import Examined
from windlass.repository import ModelEntry

CONFIG = parse_text('backend: "pytorch" max_batch_size: 8 input { name: "x" data_type: TYPE_FP32 dims: 4 }', "")
NOW = Candidate(Variant("pytorch", Artefact()))
OPENVINO = (Step("export", "openvino"),)
INT8 = Variant("openvino", Artefact((*OPENVINO, Step("quantize", "int8"))), "bf16")
BF16 = Variant("openvino", Artefact(OPENVINO), "bf16")
WINNER = Candidate(INT8, Layout(1, 2), Batching(8, 500))
SECOND = Candidate(BF16, Layout(2, 1), Batching(4))


def scored(throughput: float, p99_us: float, reason: str = "") -> Score:
    return Score(throughput, p99_us, p99_us / 2, 16, 300 << 20, 0.02, 3, reason)


@pytest.fixture
def outcome() -> Outcome:
    entry = ModelEntry("resnet", Path("/srv/models/resnet"), CONFIG, {1: Path("/srv/models/resnet/1")})
    study = Study(
        entry=entry,
        version=1,
        config=CONFIG,
        machine=Machine("a processor", 2, 8 << 30, frozenset({"amx_bf16"}), {"openvino": "1.2"}),
        objective=Objective(latency_p99_us=50_000),
        requirement=Requirement(),
        questions=Questions(None, 3),
        budget_s=600,
        folder=Path("/work"),
    )
    laps = {Layout(1, 2): (Lap(1, 50.0, 0.02), Lap(8, 220.0, 0.036))}
    return Outcome(
        study=study,
        examined={
            NOW.variant: Examined(NOW.variant, Accuracy(64, 1.0), {Layout(1, 2): (Lap(1, 16.0, 0.06),)}),
            INT8: Examined(INT8, Accuracy(64, 0.99934, 0.2), laps),
            BF16: Examined(BF16, Accuracy(64, 0.99999, 0.01), laps),
            Variant("onnxruntime", Artefact()): Examined(Variant("onnxruntime", Artefact()), reason=NO_TIME),
        },
        unfit=(Unfit("onnxruntime fp16 on cuda", "this machine has no GPU"),),
        scores={NOW: scored(15, 40_000), WINNER: scored(210, 45_000), SECOND: scored(170, 20_000)},
        rungs={NOW: "last", WINNER: "last", SECOND: "rung 2"},
        winner=WINNER,
        why="it has 14.0 times the throughput of the original as configured",
        spent_s=312.0,
        config=configured(CONFIG, WINNER),
    )


def test_the_commands_lead_to_the_winner_step_by_step(outcome):
    assert commands(outcome, WINNER) == [
        "windlass export resnet:1 --to openvino --repository /srv/models",
        "windlass quantize resnet:2 --to int8 --repository /srv/models --calibration INPUTS.npz",
        "windlass bench resnet:3 --repository /srv/models --concurrency 16",
    ]


def test_everything_that_was_tried_has_a_row_that_says_what_came_of_it(outcome):
    served = {row.cells[0]: row.cells[-1] for row in served_rows(outcome)}
    assert served[WINNER.name].startswith("chosen: it has 14.0 times")
    assert "on the frontier" in served[SECOND.name]
    assert "lost in rung 2: the winner has 1.24 times its throughput" in served[SECOND.name]
    assert "what is served now" in served[NOW.name]
    tried = {row.cells[0]: row.cells[-1] for row in variant_rows(outcome)}
    assert tried["onnxruntime as it is"] == NO_TIME
    assert tried["onnxruntime fp16 on cuda"] == "not tried: this machine has no GPU"
    assert len(tried) == 5


def test_the_verdict_and_the_notes_say_what_a_reader_must_not_miss(outcome):
    assert verdict(outcome).startswith("openvino int8+bf16, 1 x 2 threads, batches of 8 within 0.5 ms answers 210.0")
    assert "calibrated and checked on generated samples" in notes(outcome)[0]
    assert "there was no time for onnxruntime as it is" in notes(outcome)[1]


def test_three_files_tell_the_same(outcome, tmp_path):
    markdown, document, page = report.write(outcome, tmp_path / "report")
    figures = json.loads(document.read_text())
    assert figures["winner"] == WINNER.name
    assert figures["gain"] == 14.0
    assert figures["frontier"] == [WINNER.name, SECOND.name]
    for text in (markdown.read_text(), page.read_text()):
        assert "batches of 8 within 0.5 ms" in text
        assert "max_queue_delay_microseconds: 500" in text
        assert "windlass optimize resnet:1" in text
    assert not re.search(r"https?://", page.read_text().replace("http://www.w3.org", ""))


def test_where_nothing_fits_the_report_says_so(outcome, tmp_path):
    from dataclasses import replace

    none = replace(
        outcome,
        winner=None,
        why="nothing is within the limits: p99 is 90.0 ms",
        scores={WINNER: scored(0, 0, "p99 is 90.0 ms at 1 at a time, more than 50 ms")},
    )
    assert verdict(none) == "Nothing can be served as asked: nothing is within the limits: p99 is 90.0 ms."
    assert "p99 is 90.0 ms at 1 at a time" in report.write(none, tmp_path)[0].read_text()
