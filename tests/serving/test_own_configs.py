"""Versions of one model that go by configurations of their own."""

import numpy as np
import pytest

import windlass
from support import models
from windlass.repository import scan_model

OPENVINO = 'backend: "openvino" max_batch_size: 4'


@pytest.fixture
def two_engines(repository):
    """Version 1 on ONNX Runtime, as the model says, and version 2 on OpenVINO, as it says itself."""
    model = repository.path / "m"
    models.make_onnx_add_sub(model / "1" / "model.onnx")
    models.make_openvino_add_sub(model / "2" / "model.xml")
    (model / "config.pbtxt").write_text('backend: "onnxruntime" max_batch_size: 8 version_policy { all {} }')
    (model / "2" / "config.pbtxt").write_text(OPENVINO)
    return model


def test_two_engines_serve_one_model(two_engines, serve):
    server = serve()
    ones = {name: np.ones((1, 16), np.float32) for name in ("INPUT0", "INPUT1")}
    with windlass.Client(server.url("http")) as client:
        for version, backend, rows in ((1, "onnxruntime", 8), (2, "openvino", 4)):
            config = client.config("m", version)
            assert (config["backend"], config["max_batch_size"]) == (backend, rows)
            assert client.infer("m", ones, version=version)["OUTPUT0"][0, 0] == 2


def test_a_change_of_one_configuration_loads_that_version_again(two_engines, serve):
    server = serve(control_mode="explicit", models=("m",))
    with windlass.Client(server.url("http")) as client:
        (two_engines / "2" / "config.pbtxt").write_text(OPENVINO.replace("4", "2"))
        client.load("m")
        assert [client.config("m", version)["max_batch_size"] for version in (1, 2)] == [8, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name: "other"', "unexpected name 'other' in a version of model 'm'"),
        ("version_policy { all {} }", "`version_policy` has no meaning for one version"),
        ('platform: "ensemble"', "`ensemble_scheduling` has no meaning for one version"),
        ("max_batch: 4", "`max_batch` is no field of ModelConfig"),
    ],
)
def test_a_configuration_of_a_version_that_cannot_be_is_a_finding(two_engines, text, message):
    (two_engines / "2" / "config.pbtxt").write_text(text)
    findings = scan_model(two_engines).findings
    assert [finding.message for finding in findings] == [message]
    assert "2/config.pbtxt" in findings[0].where
