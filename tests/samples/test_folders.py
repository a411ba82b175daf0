"""Samples from folders of images and arrays."""

import numpy as np
import pytest
from PIL import Image

from windlass.config import parse_text
from windlass.errors import UsageError
from windlass.samples import read


def model(data_type="FP32", dims="3, 4, 6", batch=8):
    text = f'name: "m" max_batch_size: {batch} input {{ name: "x" data_type: TYPE_{data_type} dims: [ {dims} ] }}'
    return parse_text(text, "config.pbtxt")


def picture(path, color=(255, 0, 51), size=(12, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def fails(path, config, *said):
    with pytest.raises(UsageError) as caught:
        list(read(path, config).batches(1))
    told = f"{caught.value.where}: {caught.value.message} | {caught.value.found} | {caught.value.hint}"
    for words in said:
        assert words in told, told


@pytest.mark.parametrize(
    ("config", "shape", "corner"),
    [
        (model(), (3, 4, 6), [1.0, 0.0, np.float32(0.2)]),
        (model(dims="4, 6, 3"), (4, 6, 3), [1.0, 0.0, np.float32(0.2)]),
        (model("UINT8"), (3, 4, 6), [255, 0, 51]),
        (model(dims="1, 4, 6", data_type="UINT8"), (1, 4, 6), [82]),
        (model(dims="4, 6", data_type="UINT8"), (4, 6), [82]),
        (model(dims="3, -1, -1", data_type="UINT8"), (3, 8, 12), [255, 0, 51]),
        (model(dims="1, 3, 4, 6", data_type="UINT8", batch=0), (1, 3, 4, 6), [255, 0, 51]),
        (model(dims="-1, 3, 4, 6", data_type="UINT8", batch=0), (1, 3, 4, 6), [255, 0, 51]),
    ],
)
def test_images_are_scaled_to_what_the_model_takes(tmp_path, config, shape, corner):
    picture(tmp_path / "one.png")
    [row] = read(tmp_path, config).rows
    assert row["x"].shape == shape
    assert sorted(set(row["x"].ravel().tolist())) == sorted(set(corner))


def test_a_model_of_strings_gets_the_files_as_they_are(tmp_path):
    file = picture(tmp_path / "one.png")
    [row] = read(tmp_path, model("STRING", "1")).rows
    assert row["x"].tolist() == [file.read_bytes()]


def test_folders_are_labels_in_the_order_of_their_names(tmp_path):
    for label in ("dog", "cat"):
        for name in ("b.png", "a.jpg"):
            picture(tmp_path / label / name)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "README.txt").write_text("about")

    samples = read(tmp_path, model())

    assert samples.labels.tolist() == [0, 0, 1, 1]
    assert samples.origins == tuple(
        str(tmp_path / name) for name in ("cat/a.jpg", "cat/b.png", "dog/a.jpg", "dog/b.png")
    )
    assert [len(batch["x"]) for batch in samples.batches(3)] == [3, 1]


def test_folders_that_are_numbers_are_these_labels(tmp_path):
    for label in ("0", "2", "10"):
        picture(tmp_path / label / "a.png")
    assert sorted(read(tmp_path, model()).labels.tolist()) == [0, 2, 10]


def test_a_limit_takes_some_of_every_label(tmp_path):
    for label in ("0", "1", "2"):
        for name in "abcd":
            picture(tmp_path / label / f"{name}.png")
    assert read(tmp_path, model(), limit=7).labels.tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_a_folder_of_arrays_has_a_sample_in_each(tmp_path):
    for index, values in enumerate((np.zeros((2, 3)), np.ones((1, 2, 3)))):
        np.save(tmp_path / f"{index}.npy", values)
    samples = read(tmp_path, model(dims="2, 3"))
    assert [float(row["x"].max()) for row in samples.rows] == [0, 1]
    assert [batch["x"].shape for batch in samples.batches(8)] == [(2, 2, 3)]
    assert list(samples.rows[0]) == ["x"]
    assert "y" not in samples.rows[0]


def test_what_cannot_be_read_is_told_with_its_file(tmp_path):
    picture(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    fails(tmp_path, model(), "bad.png", "it is no image that can be read", "write the image anew")
    (tmp_path / "bad.png").write_bytes((tmp_path / "good.png").read_bytes()[:45])
    fails(tmp_path, model(), "bad.png")


def test_arrays_of_another_shape_or_with_nan_are_told_with_their_file(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 1)))
    fails(tmp_path, model(dims="2, 3"), "a.npy: input `x`: expected FP32 [2, 3] for each sample", "shape [2, 3, 1]")
    np.save(tmp_path / "a.npy", np.full((2, 3), np.nan))
    fails(tmp_path, model(dims="2, 3"), "a.npy: input `x` has NaN at [0, 0]")
    (tmp_path / "a.npy").write_bytes(b"")
    fails(tmp_path, model(dims="2, 3"), "a.npy: this cannot be read as an array")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (model(dims="5, 5, 5"), "an image does not fit an input of shape [5, 5, 5]"),
        (model(dims="7"), "an image does not fit an input of shape [7]"),
        (model("INT8"), "pixels are from 0 to 255"),
        (model("BOOL"), "pixels are from 0 to 255"),
    ],
)
def test_models_that_take_no_images_are_told(tmp_path, config, said):
    picture(tmp_path / "a.png")
    fails(tmp_path, config, "a.png", said)


def test_folders_that_can_be_read_in_two_ways_are_told(tmp_path):
    fails(tmp_path, model(), "holds no images and no .npy files", "nothing")
    picture(tmp_path / "train" / "cat" / "a.png")
    fails(tmp_path, model(), "train` holds folders, and no samples", "name the folder whose folders are the labels")
    picture(tmp_path / "c.png")
    fails(tmp_path, model(), "holds files beside folders")
    np.save(tmp_path / "train" / "d.npy", np.zeros(1))
    fails(tmp_path / "train" / "cat" / "..", model(), "holds files beside folders")
    np.save(tmp_path / "train" / "cat" / "d.npy", np.zeros(1))
    fails(tmp_path / "train" / "cat", model(), "holds images and .npy files")
