"""How far arrays are apart, in every way that they can be."""

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from windlass.errors import UsageError
from windlass.optimize.compare import differences


def of(a, b, **options):
    found = differences({"y": np.array(a)}, {"y": np.array(b)}, **options)
    return found.outputs["y"]


def texts(*rows):
    return np.array([*rows, None], dtype=object)[:-1]


def test_equal_outputs_do_not_differ():
    values = np.random.default_rng(0).standard_normal((5, 10), dtype=np.float32)
    y = of(values, values)
    assert (y.samples, y.unequal, y.max_abs, y.mean_abs, y.relative) == (5, 0, 0, 0, 0)
    assert (y.cosine, y.lowest_cosine, y.top1_agreement) == (1, 1, 1)
    assert (y.worst, y.notes, y.faults) == ((), (), ())


def test_the_figures_are_what_they_are_said_to_be():
    y = of([[3.0, 4.0], [1.0, 0.0]], [[3.0, 4.0], [0.0, 2.0]])
    assert y.unequal == 0.5
    assert (y.max_abs, y.mean_abs) == (2, 0.75)
    assert y.relative == pytest.approx(math.sqrt(5))
    assert (y.cosine, y.lowest_cosine, y.top1_agreement) == (0.5, 0, 0.5)
    [worst] = y.worst
    assert (worst.sample, worst.place, worst.a, worst.b, worst.difference) == (1, (1,), 0, 2, 2)
    assert (worst.cosine, worst.top1) == (0, (0, 1))


def test_the_worst_samples_come_first_and_are_as_many_as_asked_for():
    y = of(np.zeros((4, 2, 3)), np.arange(24.0).reshape(4, 2, 3), worst=2)
    assert [(worst.sample, worst.place, worst.b) for worst in y.worst] == [(3, (1, 2), 23), (2, (1, 2), 17)]


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_floats_of_every_width_are_compared_with_each_other(dtype):
    found = differences({"y": np.ones((1, 2), np.float32)}, {"y": np.array([[1, 3]]).astype(dtype)})
    assert found.outputs["y"].max_abs == 2
    assert "A gives FP32, B gives" in found.notes[0]


@pytest.mark.parametrize(
    ("a", "b", "apart"),
    [
        (np.array([[2**63 - 1]]), np.array([[-(2**63)]]), 2.0**64),
        (np.array([[2**53]]), np.array([[2**53 + 1]]), 1),
        (np.array([[2**64 - 1]], np.uint64), np.array([[0]], np.uint64), 2.0**64),
        (np.array([[2]], np.uint64), np.array([[-1]], np.int64), 3),
        (np.array([[-128]], np.int8), np.array([[127]], np.int8), 255),
        (np.array([[True]]), np.array([[False]]), 1),
        (np.array([[255]], np.uint8), np.array([[-1]], np.int8), 256),
    ],
)
def test_whole_numbers_are_subtracted_exactly_and_have_no_cosine(a, b, apart):
    y = of(a, b)
    assert (y.max_abs, y.unequal, y.cosine, y.top1_agreement) == (apart, 1, None, None)
    assert "whole numbers are compared one by one" in y.notes[0]


def test_strings_are_equal_or_not():
    y = of(texts(b"same", b"one"), texts("same", "other"))
    assert (y.unequal, y.max_abs, y.mean_abs, y.cosine) == (0.5, None, None, None)
    assert [(worst.sample, worst.a, worst.b) for worst in y.worst] == [(1, b"one", b"other")]


def test_nan_on_one_side_is_a_fault_that_names_the_sample():
    y = of([[0.5, 1.0], [1.0, np.nan]], [[0.5, 1.0], [1.0, 2.0]])
    assert y.max_abs == math.inf
    assert y.faults == ("output `y`: NaN or infinite on one side only in 1 value of 1 sample, first in sample 1",)
    assert y.top1_agreement == 0.5
    assert y.cosine == 1  # of the sample that has one


def test_infinities_of_different_signs_are_a_fault_and_of_one_sign_are_equal():
    assert of([[1.0, np.inf]], [[1.0, -np.inf]]).faults
    y = of([[1.0, np.inf, np.nan]], [[1.0, np.inf, np.nan]])
    assert (y.faults, y.max_abs, y.unequal) == ((), 0, 0)
    assert "in the same way on both sides in 2 values, first in sample 0" in y.notes[-1]


def test_the_cosine_of_zeros_is_undefined_and_of_zeros_against_something_is_nothing():
    y = of([[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 2.0]])
    assert (y.cosine, y.relative) == (0, 0)
    assert "undefined for 1 sample of 2" in y.notes[0]
    assert "all zero on one side only in 1 sample" in y.notes[1]
    assert of([[0.0, 0.0]], [[0.0, 0.0]]).cosine is None


def test_vectors_of_one_value_have_no_direction_of_their_own():
    y = of([[1.0, 1.0]], [[5.0, 5.0]])
    assert (y.cosine, y.top1_agreement, y.max_abs) == (None, None, 4)


def test_one_value_a_sample_has_no_cosine():
    y = of([[1.0], [2.0]], [[1.5], [2.0]])
    assert (y.cosine, y.top1_agreement, y.max_abs) == (None, None, 0.5)
    assert "one value a sample has no direction" in y.notes[0]


def test_an_output_that_never_changes_is_told():
    y = of([[1.0, 2.0]] * 3, [[1.0, 2.0], [1.0, 2.5], [1.0, 2.0]])
    assert [note for note in y.notes if "same for every sample" in note] == [
        "output `y` of A is the same for every sample: nothing can be told from it about real inputs"
    ]


def test_the_highest_of_a_map_is_not_a_class():
    values = np.random.default_rng(0).standard_normal((2, 3, 4))
    assert of(values, values).top1_agreement is None
    assert of(values.reshape(2, 1, 12), values.reshape(2, 1, 12)).top1_agreement == 1


def test_huge_and_tiny_numbers_have_a_direction():
    for scale in (1e300, 1e-300):
        y = of(np.array([[1.0, 2.0]]) * scale, np.array([[1.0, 2.0]]) * scale * 1.0001)
        assert y.cosine == pytest.approx(1)
        assert y.relative == pytest.approx(1e-4, rel=1e-3)
    assert of([[1e308, 1.0]], [[-1e308, 1.0]]).max_abs == math.inf


def test_outputs_are_found_by_their_names():
    one, two = np.zeros((1, 2)), np.ones((1, 2))
    found = differences({"y": one, "z": one}, {"y": one, "new": two})
    assert (list(found.outputs), found.faults, found.notes) == (
        ["y"],
        ("B has no output `z`",),
        ("output `new` is only in B",),
    )
    assert differences({"y": one, "z": one}, {"y": one, "new": two}, renamed={"z": "new"}).outputs["z"].max_abs == 1
    with pytest.raises(UsageError, match="B has no output `old`"):
        differences({"y": one, "z": one}, {"y": one, "new": two}, renamed={"z": "old"})


def test_the_only_outputs_belong_together_whatever_they_are_called():
    found = differences({"logits": np.zeros((1, 2))}, {"output_0": np.ones((1, 2))})
    assert found.outputs["logits"].max_abs == 1
    assert found.notes == ("output `logits` of A is compared with `output_0` of B, the only one there",)


def test_shapes_may_differ_by_axes_of_one():
    found = differences({"y": np.zeros((2, 1, 3))}, {"y": np.ones((2, 3))})
    assert found.outputs["y"].max_abs == 1
    assert "of shape [1, 3], B gives [3]" in found.notes[0]


@pytest.mark.parametrize(
    ("a", "b", "fault"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), "output `y`: A gives samples of shape [3], B gives [4]"),
        (np.zeros((2, 3)), np.zeros((3, 3)), "output `y`: A gives 2 samples, B gives 3"),
        (np.zeros((1, 1)), texts(b"x").reshape(1, 1), "output `y`: A gives FP64, B gives BYTES: strings and numbers"),
    ],
)
def test_what_cannot_be_compared_is_a_fault(a, b, fault):
    found = differences({"y": a}, {"y": b})
    assert found.outputs == {}
    assert found.faults[0].startswith(fault)


def test_without_a_batch_all_is_one_sample():
    assert of([1.0, 2.0, 4.0], [1.0, 2.0, 3.0], batched=False).samples == 1
    assert of(1.0, 2.0, batched=False).max_abs == 1


def test_empty_outputs_are_told():
    y = of(np.zeros((2, 0)), np.zeros((2, 0)))
    assert (y.max_abs, y.cosine) == (0, None)
    assert "empty in every sample" in y.notes[-1]


def test_the_worst_output_speaks_for_all():
    a = {"x": np.array([[1.0, 0.0]]), "y": np.array([[1.0, 0.0]])}
    b = {"x": np.array([[1.0, 0.0]]), "y": np.array([[0.0, 1.0]])}
    found = differences(a, b)
    assert (found.max_abs, found.cosine, found.lowest_cosine, found.top1_agreement) == (1, 0, 0, 0)
    assert differences({}, {}).max_abs is None


FLOATS = arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=st.floats(width=32))


@settings(deadline=None, max_examples=30)
@given(FLOATS, st.randoms(use_true_random=False))
def test_whatever_is_compared_has_figures_within_their_bounds(a, random):
    b = a.copy()
    b.ravel()[random.randrange(b.size)] = random.choice([0.0, math.nan, math.inf, -1.0, 1e38])
    there, back = of(a, b), of(b, a)
    assert there.max_abs == back.max_abs >= there.mean_abs >= 0
    assert there.cosine is None or -1 <= there.lowest_cosine <= there.cosine <= 1
    assert bool(there.unequal) == bool(there.worst) == (there.max_abs > 0)
    assert bool(there.faults) == bool(back.faults)
    assert not of(a, a).faults
