"""A version as the tools take it."""

import pytest

from support.models import make_onnx_identity
from windlass.errors import RepositoryError
from windlass.optimize.source import Source
from windlass.repository import scan_model


def test_a_version_is_known_by_its_own_configuration(tmp_path):
    make_onnx_identity(tmp_path / "m" / "1" / "model.onnx")
    make_onnx_identity(tmp_path / "m" / "2" / "model.onnx")
    (tmp_path / "m" / "2" / "config.pbtxt").write_text('backend: "openvino"')
    entry = scan_model(tmp_path / "m")

    first, second = Source.of(entry, 1), Source.of(entry, 2)

    assert (first.text, first.backend, first.folder) == ("m:1", "onnxruntime", tmp_path / "m" / "1")
    assert (second.text, second.backend, second.model) == ("m:2", "openvino", tmp_path / "m")


def test_what_is_not_there_or_cannot_be_read_is_refused(tmp_path):
    make_onnx_identity(tmp_path / "m" / "1" / "model.onnx")
    with pytest.raises(RepositoryError, match="has no version 3") as raised:
        Source.of(scan_model(tmp_path / "m"), 3)
    assert raised.value.found == "1"
    (tmp_path / "m" / "config.pbtxt").write_text("max_batch_sizes: 3")
    with pytest.raises(RepositoryError, match="is no field"):
        Source.of(scan_model(tmp_path / "m"), 1)
