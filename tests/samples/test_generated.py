"""Samples that fit a signature."""

import numpy as np
import pytest

from windlass.config import ModelConfig, parse_text
from windlass.config.datatypes import ALL, numpy_dtype
from windlass.errors import UsageError
from windlass.samples import Samples, generate

TEXT = """
name: "m"
max_batch_size: 8
input { name: "ids" data_type: TYPE_INT64 dims: [ -1 ] }
input { name: "image" data_type: TYPE_FP32 dims: [ 3, 4 ] }
input { name: "hint" data_type: TYPE_FP32 dims: [ 1 ] optional: true }
"""


def test_samples_have_the_declared_types_and_shapes():
    samples = generate(parse_text(TEXT, "p"), 3, open_size=5)
    assert [{name: (array.dtype.name, array.shape) for name, array in row.items()} for row in samples.rows] == [
        {"ids": ("int64", (5,)), "image": ("float32", (3, 4))}
    ] * 3


def test_the_same_seed_makes_the_same_samples():
    config = parse_text(TEXT, "p")
    first, same, other = (generate(config, 2, seed=seed).rows[1]["image"] for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("data_type", ALL, ids=lambda data_type: data_type.config)
def test_there_are_samples_of_every_type(data_type):
    config = parse_text(f'input {{ name: "x" data_type: {data_type.config} dims: [ 2, 3 ] }}', "p")
    [row] = generate(config, 1).rows
    assert row["x"].dtype == numpy_dtype(data_type)
    assert row["x"].shape == (2, 3)


def test_batches_hold_neighbours_of_one_shape():
    rows = [{"x": np.zeros(size)} for size in (2, 2, 2, 3, 2)]
    shapes = [batch["x"].shape for batch in Samples(tuple(rows), True, "here").batches(2)]
    assert shapes == [(2, 2), (1, 2), (1, 3), (1, 2)]
    assert [batch["x"].shape for batch in Samples(tuple(rows), False, "here").batches(2)] == [(2,)] * 3 + [(3,), (2,)]


def test_a_model_without_inputs_cannot_be_asked():
    with pytest.raises(UsageError, match="declares no input"):
        generate(ModelConfig(name="m"), 1)
