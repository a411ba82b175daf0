"""Samples from numpy's files, and what is said of those that hold none."""

import zipfile

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windlass.config import parse_text
from windlass.errors import UsageError
from windlass.samples import read

ONE = 'name: "m" max_batch_size: 8 input { name: "x" data_type: TYPE_FP32 dims: [ 2, 3 ] }'
TWO = """
name: "m" max_batch_size: 8
input { name: "ids" data_type: TYPE_INT64 dims: [ -1 ] }
input { name: "scale" data_type: TYPE_FP32 dims: [ 1 ] }
"""


def config(text):
    return parse_text(text, "config.pbtxt")


def of_type(data_type, dims="2"):
    return config(f'name: "m" max_batch_size: 8 input {{ name: "x" data_type: TYPE_{data_type} dims: [ {dims} ] }}')


def fails(path, text, *said, limit=None):
    with pytest.raises(UsageError) as caught:
        read(path, config(text) if isinstance(text, str) else text, limit=limit)
    told = f"{caught.value.where}: {caught.value.message} | {caught.value.found} | {caught.value.hint}"
    for words in said:
        assert words in told, told


def test_an_array_holds_its_samples_along_the_first_axis(tmp_path):
    values = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    np.save(tmp_path / "x.npy", values)

    samples = read(tmp_path / "x.npy", config(ONE), limit=3)

    assert len(samples) == 3
    assert samples.batched
    assert samples.labels is None
    assert samples.origin(2) == f"{tmp_path}/x.npy[2]"
    assert np.array_equal(samples.rows[2]["x"], values[2])
    assert [batch["x"].shape for batch in samples.batches(2)] == [(2, 2, 3), (1, 2, 3)]


def test_an_array_of_a_samples_shape_is_one_sample(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 3), np.float32))
    assert len(read(tmp_path / "x.npy", config(ONE))) == 1
    np.savez(tmp_path / "x.npz", x=np.asfortranarray(np.zeros((2, 3), np.float32)))
    assert len(read(tmp_path / "x.npz", config(ONE), limit=1)) == 1


def test_values_of_an_array_stay_on_disk(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 2, 3), np.float32))
    row = read(tmp_path / "x.npy", config(ONE)).rows[0]["x"]
    while row.base is not None and not isinstance(row, np.memmap):
        row = row.base
    assert isinstance(row, np.memmap) or type(row).__name__ == "mmap"


def test_a_file_of_arrays_has_one_for_each_input_and_the_labels(tmp_path):
    file = tmp_path / "data.npz"
    np.savez_compressed(file, ids=np.array([[1, 2], [3, 4], [5, 6]]), scale=[0.5, 1.0, 2.0], labels=[7, 8, 9])

    samples = read(file, config(TWO), limit=2)

    assert [row["ids"].tolist() for row in samples.rows] == [[1, 2], [3, 4]]
    assert [(row["scale"].dtype, row["scale"].shape) for row in samples.rows] == [(np.float32, (1,))] * 2
    assert samples.labels.tolist() == [7, 8]


def test_labels_may_be_names_and_an_input_may_be_called_labels(tmp_path):
    np.savez(tmp_path / "named.npz", x=np.zeros((2, 2, 3)), labels=np.array(["cat", "dog"]))
    assert read(tmp_path / "named.npz", config(ONE)).labels.tolist() == ["cat", "dog"]
    np.savez(tmp_path / "input.npz", labels=np.zeros((2, 4)))
    samples = read(tmp_path / "input.npz", config(ONE.replace('"x"', '"labels"').replace("2, 3", "4")))
    assert samples.labels is None
    assert len(samples) == 2


def test_arrays_by_column_and_whole_requests_are_read(tmp_path):
    values = np.asfortranarray(np.arange(24, dtype=np.float32).reshape(4, 2, 3))
    np.savez(tmp_path / "x.npz", x=values)
    samples = read(tmp_path / "x.npz", config(ONE.replace("max_batch_size: 8", "")), limit=3)
    assert not samples.batched
    assert np.array_equal([row["x"] for row in samples.rows], values[:3])


@pytest.mark.parametrize(
    ("data_type", "values", "expected"),
    [
        ("FP32", np.array([[1, 255]], np.uint8), [1.0, 255.0]),
        ("FP16", np.array([[0.5, np.inf]]), [0.5, np.inf]),
        ("INT32", np.array([[-1, 7]]), [-1, 7]),
        ("UINT8", np.array([[0, 255]]), [0, 255]),
        ("BOOL", np.array([[True, False]]), [True, False]),
        ("STRING", np.array([["a", "ü"]]), [b"a", "ü".encode()]),
        ("STRING", np.array([[b"a", b"b"]]), [b"a", b"b"]),
        ("BF16", np.array([[1.5, 2.0]], ml_dtypes.bfloat16), [1.5, 2.0]),
        ("FP32", np.array([[1.5, 2.0]], np.float64), [1.5, 2.0]),
    ],
)
def test_values_become_what_the_model_takes(tmp_path, data_type, values, expected):
    np.savez(tmp_path / "x.npz", x=values)
    assert read(tmp_path / "x.npz", of_type(data_type)).rows[0]["x"].tolist() == expected


@pytest.mark.parametrize(
    ("data_type", "values", "said"),
    [
        ("INT64", np.array([[1.0, 2.0]]), "values of float64"),
        ("UINT8", np.array([[1, 300]]), "300, which does not fit"),
        ("UINT64", np.array([[1, -1]]), "-1, which does not fit"),
        ("FP16", np.array([[1.0, 1e6]]), "1000000.0, which does not fit"),
        ("FP32", np.array([["a", "b"]]), "values of text"),
        ("STRING", np.array([[1, 2]]), "values of int64"),
        ("BOOL", np.array([[0, 1]]), "values of int64"),
        ("FP32", np.array([[1.0, 1j]]), "values of complex128"),
    ],
)
def test_values_that_are_not_what_the_model_takes_are_told(tmp_path, data_type, values, said):
    np.savez(tmp_path / "x.npz", x=values)
    fails(tmp_path / "x.npz", of_type(data_type), "x.npz[0]: input `x`: expected ", said)


def test_nan_is_told_with_its_place(tmp_path):
    values = np.zeros((3, 2, 3), np.float32)
    values[1, 0, 2] = np.nan
    np.save(tmp_path / "x.npy", values)
    fails(tmp_path / "x.npy", ONE, "x.npy[1]: input `x` has NaN at [0, 2]")
    assert len(read(tmp_path / "x.npy", config(ONE), limit=1)) == 1


def test_other_shapes_are_told(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 3, 2), np.float32))
    fails(tmp_path / "x.npy", ONE, "expected FP32 [samples, 2, 3]", "shape [4, 3, 2]", "stack the samples along")
    np.save(tmp_path / "x.npy", np.zeros((0, 2, 3), np.float32))
    fails(tmp_path / "x.npy", ONE, "holds no samples")
    np.savez(tmp_path / "ids.npz", ids=np.zeros((2, 0), np.int64), scale=[1.0, 2.0])
    fails(tmp_path / "ids.npz", TWO, "ids.npz[ids]", "shape [0], which holds none")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"ids": [[1]]}, "there is no input `scale`"),
        ({"ids": [[1]], "scale": [1.0], "label": [1]}, "`label` is no input of `m`"),
        ({"ids": [[1]], "scale": [1.0, 2.0]}, "`ids` 1, `scale` 2"),
        ({"ids": [[1], [2]], "scale": [1.0, 2.0], "labels": [1]}, "`labels` 1"),
        ({"ids": [[1]], "scale": [1.0], "labels": 1}, "`labels` is one value"),
        ({"ids": np.array([[1], None], dtype=object), "scale": [1.0]}, "[ids]: the array holds Python objects"),
    ],
)
def test_arrays_that_do_not_belong_together_are_told(tmp_path, arrays, said):
    np.savez(tmp_path / "data.npz", **arrays)
    fails(tmp_path / "data.npz", TWO, f"{tmp_path}/data.npz", said)


def test_broken_files_are_told(tmp_path):
    (tmp_path / "text.npy").write_text("no array")
    fails(tmp_path / "text.npy", ONE, "text.npy: this cannot be read as an array", "numpy.save")
    (tmp_path / "text.npz").write_text("no archive")
    fails(tmp_path / "text.npz", ONE, "text.npz: this cannot be read as an array")
    np.save(tmp_path / "cut.npy", np.zeros((4, 2, 3), np.float32))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-8])
    fails(tmp_path / "cut.npy", ONE, "cut.npy: this cannot be read as an array")
    with zipfile.ZipFile(tmp_path / "cut.npz", "w") as archive:
        archive.writestr("x.npy", (tmp_path / "cut.npy").read_bytes())
    fails(tmp_path / "cut.npz", ONE, "cut.npz[x]: this cannot be read as an array")


def test_an_array_alone_is_for_a_model_of_one_input(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 2)))
    fails(tmp_path / "x.npy", TWO, "takes several inputs", "`ids` (INT64 [-1]), `scale` (FP32 [1])", "write an .npz")
    optional = TWO.replace("dims: [ 1 ]", "dims: [ 1 ] optional: true")
    np.save(tmp_path / "ids.npy", np.zeros((1, 2), int))
    assert list(read(tmp_path / "ids.npy", config(optional)).rows[0]) == ["ids"]


def test_what_is_no_file_of_samples_is_told(tmp_path):
    fails(tmp_path / "nothing.npz", ONE, "there is no `", "name an .npz, .npy, .jsonl or .txt file, or a folder")
    (tmp_path / "data.csv").write_text("1,2")
    fails(tmp_path / "data.csv", ONE, "is no kind of file that samples are read from", "`.csv`")
    fails(tmp_path / "data.csv", ONE, "got a limit of 0", limit=0)
    fails(tmp_path, 'name: "m"', "declares no input")


@given(st.sampled_from([".npy", ".npz"]), st.integers(0, 400), st.binary(max_size=12), st.integers(0, 8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_no_damage_does_worse_than_being_told(tmp_path, suffix, at, put, cut):
    file = tmp_path / f"x{suffix}"
    (np.save if suffix == ".npy" else lambda path, x: np.savez_compressed(path, x=x))(
        file, np.ones((2, 2, 3), np.float32)
    )
    whole = file.read_bytes()
    file.write_bytes(whole[:at] + put + whole[at + cut :])
    try:
        samples = read(file, config(ONE))
    except UsageError as error:
        assert str(file) in str(error.where)
    else:
        assert all(row["x"].shape == (2, 3) for row in samples.rows)
