"""What models answer, and what a comparison makes of it: with values."""

import numpy as np
import pytest

from windlass.errors import UsageError
from windlass.optimize.tune.measure import answers
from windlass.optimize.tune.search.accuracy import Accuracy, Requirement, objection
from windlass.samples import Samples

ROWS = tuple({"x": np.full(3, value, np.float32)} for value in range(10))
SAMPLES = Samples(ROWS, True, "a test", np.array([2] * 5 + [0] * 5))


def double(inputs):
    return {"y": inputs["x"] * np.array([1, 2, 3], np.float32)}


def test_answers_are_the_same_after_they_were_kept(tmp_path):
    said = answers.given(double, SAMPLES, count=10)
    answers.keep(said, tmp_path / "answers.npz")
    again = answers.kept(tmp_path / "answers.npz")
    assert [answer["y"].tolist() for answer in again] == [answer["y"].tolist() for answer in said]
    assert answers.count(again, SAMPLES) == 10


def test_a_slow_model_answers_few_samples_and_a_quick_one_all():
    assert answers.count(answers.given(double, SAMPLES, seconds=0.0), SAMPLES) == 8
    assert answers.count(answers.given(double, SAMPLES, seconds=60.0), SAMPLES) == 10


def test_differences_and_labels_are_told():
    before = answers.given(double, SAMPLES, count=10)
    after = [{"y": answer["y"][:, ::-1]} for answer in before]
    found = answers.compared(before, after, SAMPLES)
    assert found.samples == 10
    assert found.cosine == pytest.approx(10 / 14)
    assert (found.task_before, found.task) == (0.4, 0.5)


def test_values_without_a_direction_are_compared_by_their_difference():
    before = [{"y": np.array([[100.0]])}]
    found = answers.compared(before, [{"y": np.array([[101.0]])}], Samples(ROWS[:1], True, "a test"))
    assert found.cosine == pytest.approx(1 - 0.01**2 / 2)


def test_nan_where_there_was_none_is_a_fault_that_no_threshold_allows():
    before = answers.given(double, SAMPLES, count=10)
    after = [{"y": answer["y"] * np.nan} for answer in before]
    found = answers.compared(before, after, SAMPLES)
    assert "NaN or infinite on one side only" in objection(found, Requirement(min_cosine=0.0))


def test_an_original_that_answers_nonsense_is_refused():
    with pytest.raises(UsageError, match="the model itself answers NaN or infinity: output `y`"):
        answers.refuse_nonsense([{"y": np.full((4, 2), np.nan)}])
    with pytest.raises(UsageError, match="the model answers the same to all samples"):
        answers.refuse_nonsense([{"y": np.ones((4, 2))}, {"y": np.ones((4, 2))}])


def test_objections_say_by_how_much():
    assert objection(Accuracy(10, 0.99899), Requirement()) == (
        "its cosine with the original is 0.99899, less than 0.999"
    )
    assert objection(Accuracy(10, 0.9999), Requirement()) == ""
    dropped = Accuracy(10, 0.9, task=0.93, task_before=0.94)
    assert objection(dropped, Requirement(None, 0.005)) == "accuracy drops by 1.00 points, more than 0.5"
    assert objection(dropped, Requirement(None, 0.02)) == ""
