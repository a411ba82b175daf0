"""What has been done survives whatever ends the process."""

import pytest

from windlass.errors import UsageError
from windlass.optimize.tune.search.journal import Journal

ABOUT = {"model": "sha256:1", "seed": 0}


def test_trials_are_there_again(tmp_path):
    file = tmp_path / "work" / "journal.jsonl"
    journal = Journal.open(file, ABOUT)
    journal.add("make openvino", {"took_s": 3.0}, spent_s=3.5)

    again = Journal.open(file, ABOUT)

    assert "make openvino" in again
    assert again.result("make openvino") == {"took_s": 3.0}
    assert again.before_s == 3.5
    assert "make onnx" not in again


@pytest.mark.parametrize("torn", ['{"trial": "b", "spe', "\x00\x00\x00", '{"trial": "b", "spent_s": 2, "result": {}'])
def test_a_line_that_was_cut_off_is_taken_away(tmp_path, torn):
    file = tmp_path / "journal.jsonl"
    Journal.open(file, ABOUT).add("a", 1, spent_s=1.0)
    with file.open("a") as opened:
        opened.write(torn)

    again = Journal.open(file, ABOUT)
    again.add("c", 3, spent_s=2.0)

    assert len(Journal.open(file, ABOUT)) == 2


def test_a_journal_of_another_model_is_not_continued(tmp_path):
    file = tmp_path / "journal.jsonl"
    Journal.open(file, ABOUT).add("a", 1, spent_s=1.0)
    with pytest.raises(UsageError, match="is about something else"):
        Journal.open(file, {**ABOUT, "model": "sha256:2"})
