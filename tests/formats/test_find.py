"""What a path is taken for, and what is said of what is not taken."""

import pickle
import zipfile
from pathlib import Path

import pytest

from support.models import (
    make_exported_add_sub,
    make_onnx_identity,
    make_openvino_identity,
    make_torchscript_identity,
)
from windlass.errors import UsageError
from windlass.formats import Given, find, parse_input

MAKERS = {
    "model.onnx": (make_onnx_identity, "ONNX"),
    "model.xml": (make_openvino_identity, "OpenVINO IR"),
    "model.pt": (make_torchscript_identity, "TorchScript"),
    "model.pt2": (make_exported_add_sub, "exported program"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_files_are_known_by_what_is_in_them(name, tmp_path):
    make, kind = MAKERS[name]
    assert find(make(tmp_path / name)).format == kind


def test_a_folder_with_one_model_file_stands_for_it(tmp_path):
    make_onnx_identity(tmp_path / "exported" / "anything.onnx")
    (tmp_path / "exported" / "README.md").write_text("read me")
    assert find(tmp_path / "exported").format == "ONNX"


def _zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("letter.txt", "dear")
    return path


def _cut(path: Path) -> Path:
    whole = make_torchscript_identity(path.with_name("whole.pt")).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "nothing.onnx", "is not there"),
        (lambda folder: folder / "nowhere" / "model.onnx", "is not there"),
        (lambda folder: _written(folder / "model.onnx", b""), "is empty"),
        (lambda folder: _zip(folder / "model.zip"), "is no model that is known here"),
        (lambda folder: _cut(folder / "half.pt"), "is no model that is known here"),
        (lambda folder: _written(folder / "model.h5", b"HDF"), "is not taken"),
        (lambda folder: _written(folder / "notes.txt", b"milk, bread"), "is no model that is known here"),
        (lambda folder: folder, "is no model that is known here"),
    ],
    ids=["absent", "no folder", "empty", "a zip", "half a file", "Keras", "a text", "an empty folder"],
)
def test_what_is_no_model_is_told_with_the_next_step(make, said, tmp_path):
    with pytest.raises(UsageError, match=said) as refused:
        find(make(tmp_path))
    assert refused.value.hint


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.onnx", b"not a graph at all", "is no ONNX file"),
        ("model.xml", b"<net name='x'></net>", "has no weights"),
        ("model.safetensors", b"\x08\0\0\0\0\0\0\0{]", "is no safetensors file"),
        ("model.json", b'{"learner": {}}', "cannot be read"),
        ("model.txt", b"tree\nversion=v4\n", "cannot be read"),
        ("model.skops", None, "is no file of skops"),
    ],
)
def test_a_file_that_is_not_what_it_seems_is_refused_when_it_is_read(name, content, said, tmp_path):
    path = tmp_path / name
    if content is None:
        with zipfile.ZipFile(path, "w") as opened:
            opened.writestr("schema.json", "{}")
    else:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        find(path, Given(trust=True)).inspect()


class Greeting:
    """Leaves a trace where it is loaded."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return (Path.touch, (self.file,))


def test_a_pickle_is_not_loaded_without_being_told_to(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Greeting(tmp_path / "loaded")))
    with pytest.raises(UsageError, match="to load it is to run whatever code is in it") as refused:
        find(path).inspect()
    assert "--trust" in refused.value.hint
    assert "Path.touch" in refused.value.found
    assert not (tmp_path / "loaded").exists()

    with pytest.raises(UsageError, match="holds no model of scikit-learn"):
        find(path, Given(trust=True)).inspect()
    assert (tmp_path / "loaded").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image:FP32[-1,3,224,224]", ("image", "TYPE_FP32", (-1, 3, 224, 224))),
        ("ids:int64[N, length]", ("ids", "TYPE_INT64", (-1, -1))),
        ("scale:TYPE_FP16", ("scale", "TYPE_FP16", ())),
        ("text:string[?,1]", ("text", "TYPE_STRING", (-1, 1))),
    ],
)
def test_an_input_is_said_in_one_word(text, expected):
    said = parse_input(text)
    assert (said.name, said.data_type, said.shape) == expected


@pytest.mark.parametrize(
    ("text", "hint"), [("image", "say for example"), ("x:FP23[1]", "did you mean `FP32`"), ("x:FP32[0]", "from 1 on")]
)
def test_an_input_that_cannot_be_read_is_told(text, hint):
    with pytest.raises(UsageError) as refused:
        parse_input(text)
    assert hint in refused.value.hint
