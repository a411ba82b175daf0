"""OpenVINO: IR and ONNX files, their types, and outputs that stay as they are."""

import subprocess
import sys

import numpy as np
import pytest

from support.models import (
    OPENVINO_TYPES,
    make_onnx_add_sub,
    make_onnx_brightness,
    make_openvino_add_sub,
    make_openvino_identity,
)
from windlass.config.datatypes import BY_WIRE, numpy_dtype
from windlass.errors import BackendError


@pytest.mark.parametrize(("make", "name"), [(make_openvino_add_sub, "model.xml"), (make_onnx_add_sub, "model.onnx")])
def test_ir_and_onnx_are_complete_models(version, make, name):
    make(version.file(name))

    (instance,) = version.load("openvino")
    ones = np.ones((3, 16), np.float32)
    outputs = instance.execute({"INPUT0": ones, "INPUT1": 2 * ones})

    assert version.config.max_batch_size == 4
    assert [(i.name, list(i.dims)) for i in version.config.input] == [("INPUT0", [16]), ("INPUT1", [16])]
    np.testing.assert_array_equal(outputs["OUTPUT0"], 3 * ones)
    np.testing.assert_array_equal(outputs["OUTPUT1"], -ones)


@pytest.mark.parametrize("data_type", OPENVINO_TYPES)
def test_every_type_comes_out_as_it_went_in(version, data_type):
    make_openvino_identity(version.file("model.xml"), data_type, ("N", 2))
    given = np.array([[b"", b"text"], ["é".encode(), b"\0a"]], dtype=object)
    if data_type != "BYTES":
        given = np.array([[0, 1], [1, 0]]).astype(numpy_dtype(BY_WIRE[data_type]))

    (instance,) = version.load("openvino")
    found = instance.execute({"x": given.copy()})["y"]

    assert version.config.input[0].data_type == BY_WIRE[data_type].number
    assert found.tolist() == given.tolist()
    assert found.dtype == given.dtype


def test_an_output_stays_as_it_is_when_the_next_batch_runs(version):
    make_openvino_identity(version.file("model.xml"))
    (instance,) = version.load("openvino")

    first = instance.execute({"x": np.ones((2, 4), np.float32)})["y"]
    second = instance.execute({"x": np.zeros((2, 4), np.float32)})["y"]

    assert (first.sum(), second.sum()) == (8, 0)


def test_batches_of_any_size_go_through_one_instance(version):
    make_openvino_identity(version.file("model.xml"))
    (instance,) = version.load("openvino")

    sizes = [len(instance.execute({"x": np.ones((size, 4), np.float32)})["y"]) for size in (1, 5, 2, 64)]

    assert sizes == [1, 5, 2, 64]


def test_one_number_for_each_row_is_an_array_of_one(version):
    make_onnx_brightness(version.file("model.onnx"), size=8)

    (instance,) = version.load("openvino")

    assert list(version.config.output[0].dims) == [1]
    assert instance.execute({"image": np.ones((2, 3, 8, 8), np.float32)})["mean"].tolist() == [[1.0], [1.0]]


def test_instances_have_requests_of_their_own(version):
    make_openvino_identity(version.file("model.xml"))

    first, second = version.load("openvino", "instance_group { count: 2 kind: KIND_CPU }")
    one = first.execute({"x": np.ones((1, 4), np.float32)})["y"]
    two = second.execute({"x": np.zeros((1, 4), np.float32)})["y"]

    assert (first.name, second.name) == ("m_0_0", "m_0_1")
    assert (one.sum(), two.sum()) == (4, 0)


def test_properties_reach_the_engine(version):
    make_openvino_identity(version.file("model.xml"))
    wanted = {"INFERENCE_NUM_THREADS": "1", "NUM_STREAMS": "1", "INFERENCE_PRECISION_HINT": "f32"}
    text = "".join(f'parameters {{ key: "{k}" value {{ string_value: "{v}" }} }} ' for k, v in wanted.items())

    (instance,) = version.load("openvino", text + "instance_group { count: 1 kind: KIND_CPU }")
    assert instance.execute({"x": np.ones((1, 4), np.float32)})["y"].shape == (1, 4)

    with pytest.raises(BackendError, match="unable to load model 'm': .*foo"):
        version.load("openvino", 'parameters { key: "NUM_STREAMS" value { string_value: "foo" } }')


def test_a_configuration_that_disagrees_with_the_file_is_refused(version):
    make_openvino_identity(version.file("model.xml"))

    with pytest.raises(BackendError, match="configuration expects datatype TYPE_INT8 for input 'x', model provides"):
        version.load("openvino", 'max_batch_size: 2 input { name: "x" data_type: TYPE_INT8 dims: [ 4 ] }')


def test_a_broken_file_is_an_error(version):
    version.write("<net", "model.xml")

    with pytest.raises(BackendError, match="^unable to load model 'm': "):
        version.load("openvino")


def test_a_failing_run_is_an_error(version):
    make_openvino_identity(version.file("model.xml"))
    (instance,) = version.load("openvino")

    with pytest.raises(BackendError, match="^openvino error: "):
        instance.execute({"x": np.ones((1, 5), np.float32)})


def test_cuda_devices_are_not_its(version):
    make_openvino_identity(version.file("model.xml"))

    with pytest.raises(BackendError, match="has kind KIND_GPU but no GPUs are available"):
        version.load("openvino", "instance_group { kind: KIND_GPU }")


TWO_AT_ONCE = """
import sys, threading
from pathlib import Path
import numpy as np
from windlass.backends import LoadContext, find
from windlass.config import normalise, parse_text
folder = Path(sys.argv[1])
text = 'backend: "openvino" instance_group { count: 2 kind: KIND_CPU }'
context = LoadContext("m", 1, folder, folder, parse_text(text, ""))
opened = find("openvino").open(context)
instances = opened.instances(normalise(opened.config, "m"))
together = threading.Barrier(2)
def first(instance):
    together.wait()
    for rows in (3, 1, 2):
        instance.execute({name: np.ones((rows, 16), np.float32) for name in ("INPUT0", "INPUT1")})
threads = [threading.Thread(target=first, args=(instance,)) for instance in instances]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_two_instances_may_execute_for_the_first_time_at_the_same_time(tmp_path):
    make_openvino_add_sub(tmp_path / "model.xml")
    done = subprocess.run([sys.executable, "-c", TWO_AT_ONCE, str(tmp_path)], timeout=60, check=False)
    assert done.returncode == 0


def test_conversions_are_reported_to_nobody():
    pytest.importorskip("openvino_telemetry")
    code = """
from windlass.backends.openvino import library
library()
from openvino.tools.ovc import convert_impl, telemetry_utils
print(telemetry_utils.tm.__name__, convert_impl.tm.__name__)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(told.split()) == {"openvino.tools.ovc.telemetry_stub"}
