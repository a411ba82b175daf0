"""One version of a model by itself."""

import numpy as np
import pytest

from support import models
from windlass.errors import ClientError, ModelLoadError
from windlass.repository import scan_model
from windlass.samples import generate
from windlass.serving.solo import solo


def test_any_version_can_be_asked_whatever_is_served(tmp_path):
    models.make_onnx_identity(tmp_path / "m" / "1" / "model.onnx")
    models.make_openvino_add_sub(tmp_path / "m" / "2" / "model.xml")
    (tmp_path / "m" / "2" / "config.pbtxt").touch()
    entry = scan_model(tmp_path / "m")
    for version, backend, names in ((1, "onnxruntime", ["x"]), (2, "openvino", ["INPUT0", "INPUT1"])):
        with solo(entry, version) as model:
            assert model.config.backend == backend
            [samples] = generate(model.config, 3).batches(3)
            assert list(samples) == names
            assert {array.shape for array in model.run(samples).values()} == {samples[names[0]].shape}


def test_a_wrong_request_is_told_in_the_words_of_the_server(tmp_path):
    models.make_onnx_identity(tmp_path / "m" / "1" / "model.onnx")
    with solo(scan_model(tmp_path / "m"), 1) as model, pytest.raises(ClientError, match="unexpected inference input"):
        model.run({"other": np.ones((1, 4), np.float32)})


def test_a_version_that_does_not_load_says_why(tmp_path):
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "model.onnx").write_bytes(b"no model")
    with (
        pytest.raises(ModelLoadError, match="version 1 of model `m` does not load: .*model.onnx"),
        solo(scan_model(tmp_path / "m"), 1),
    ):
        pass
