"""ONNX Runtime: what a file tells, what it refuses, and what comes out of it."""

import ml_dtypes
import numpy as np
import pytest

from support.models import (
    ONNX_TYPES,
    make_onnx_add_sub,
    make_onnx_brightness,
    make_onnx_identity,
    make_onnx_strings,
    make_onnx_total,
)
from windlass.backends.backend import find
from windlass.config.datatypes import BY_WIRE, numpy_dtype
from windlass.errors import BackendError

ADD_SUB = 'max_batch_size: 8 input { name: "INPUT0" data_type: TYPE_FP32 dims: [ 16 ] } '


def values(data_type: str) -> np.ndarray:
    if data_type == "BYTES":
        return np.array([[b"", b"text"], ["é".encode(), b"\0"]], dtype=object)
    return np.array([[0, 1], [1, 0]]).astype(numpy_dtype(BY_WIRE[data_type]))


def test_a_file_alone_is_a_complete_model(version):
    make_onnx_add_sub(version.file("model.onnx"))

    (instance,) = version.load("onnxruntime")
    ones = np.ones((3, 16), np.float32)
    outputs = instance.execute({"INPUT0": ones, "INPUT1": 2 * ones})

    assert version.config.max_batch_size == 4
    assert version.config.WhichOneof("scheduling_choice") == "dynamic_batching"
    assert [(i.name, i.data_type, list(i.dims)) for i in version.config.input] == [
        ("INPUT0", 11, [16]),
        ("INPUT1", 11, [16]),
    ]
    assert (instance.name, instance.kind, instance.per_request) == ("m_0_0", "CPU", False)
    np.testing.assert_array_equal(outputs["OUTPUT0"], 3 * ones)
    np.testing.assert_array_equal(outputs["OUTPUT1"], -ones)


@pytest.mark.parametrize("data_type", ONNX_TYPES)
def test_every_type_comes_out_as_it_went_in(version, data_type):
    make_onnx_identity(version.file("model.onnx"), data_type, ("N", 2))

    (instance,) = version.load("onnxruntime")
    given = values(data_type)
    found = instance.execute({"x": given.copy()})["y"]

    assert version.config.input[0].data_type == BY_WIRE[data_type].number
    expected = [element.decode() for element in given.ravel()] if data_type == "BYTES" else given.ravel().tolist()
    assert found.ravel().tolist() == expected
    assert found.shape == given.shape
    assert found.dtype == given.dtype


def test_strings_are_texts(version):
    make_onnx_strings(version.file("model.onnx"))
    (instance,) = version.load("onnxruntime")
    left, right = np.array([[b"a"]], dtype=object), np.array([["é".encode()]], dtype=object)

    assert instance.execute({"left": left, "right": right})["joined"].tolist() == [["aé"]]
    with pytest.raises(BackendError, match="not UTF-8"):
        instance.execute({"left": np.array([[b"\xff"]], dtype=object), "right": right})


def test_one_number_for_each_row_is_an_array_of_one(version):
    make_onnx_brightness(version.file("model.onnx"), size=8)

    (instance,) = version.load("onnxruntime")
    images = np.stack([np.zeros((3, 8, 8), np.float32), np.ones((3, 8, 8), np.float32)])

    assert list(version.config.output[0].dims) == [1]
    assert instance.execute({"image": images})["mean"].tolist() == [[0.0], [1.0]]


def test_scalars_without_a_batch_are_arrays_of_one(version, capfd):
    make_onnx_total(version.file("model.onnx"))

    (instance,) = version.load("onnxruntime")
    outputs = instance.execute({"x": np.ones(4, np.float32), "scale": np.array([2], np.float32)})

    assert version.config.max_batch_size == 0
    assert [list(given.dims) for given in version.config.input] == [[4], [1]]
    assert outputs["total"].tolist() == [8.0]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("config", "dims", "size"),
    [
        ("max_batch_size: 16", [4], 16),
        ('input { name: "x" data_type: TYPE_FP32 dims: [ -1, 4 ] }', [-1, 4], 0),
        ('output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }', [4], 4),
    ],
)
def test_what_the_user_wrote_decides_about_batching(version, config, dims, size):
    make_onnx_identity(version.file("model.onnx"))

    version.load("onnxruntime", config)

    assert version.config.max_batch_size == size
    assert list(version.config.input[0].dims) == dims


def test_the_server_sets_the_derived_batch_size(version):
    make_onnx_identity(version.file("model.onnx"))

    version.load("onnxruntime", settings={"default-max-batch-size": "32"})

    assert version.config.max_batch_size == 32


def test_a_configuration_may_fix_a_size_that_the_file_leaves_open(version):
    make_onnx_identity(version.file("model.onnx"), shape=("N", None))
    tensor = '{ name: "%s" data_type: TYPE_FP32 dims: [ 7 ] }'

    version.load("onnxruntime", f"max_batch_size: 2 input {tensor % 'x'} output {tensor % 'y'}")

    assert list(version.config.input[0].dims) == [7]


def tensor(kind: str, name: str, data_type: str = "TYPE_FP32", dims: str = "16") -> str:
    return f'{kind} {{ name: "{name}" data_type: {data_type} dims: [ {dims} ] }} '


BOTH = tensor("input", "INPUT0") + tensor("input", "INPUT1")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            "max_batch_size: 8 " + tensor("input", "INPUT0"),
            "unable to load model 'm', configuration expects 1 inputs, model provides 2",
        ),
        (
            "max_batch_size: 8 " + tensor("input", "INPUT0") + tensor("input", "INPUT1", "TYPE_INT32"),
            "unable to load model 'm', configuration expects datatype TYPE_INT32 for input 'INPUT1', "
            "model provides TYPE_FP32",
        ),
        (
            "max_batch_size: 8 " + tensor("input", "INPUT0") + tensor("input", "other"),
            "unexpected inference input 'other', allowed inputs are: INPUT0, INPUT1",
        ),
        (
            "max_batch_size: 8 " + BOTH + tensor("output", "other"),
            "unexpected inference output 'other', allowed outputs are: OUTPUT0, OUTPUT1",
        ),
        (
            "max_batch_size: 8 " + tensor("input", "INPUT0") + tensor("input", "INPUT1", dims="4, 4"),
            "model 'm', tensor 'INPUT1': the model expects 2 dimensions (shape [-1,16]) but the model configuration "
            "specifies 3 dimensions (an initial batch dimension because max_batch_size > 0 followed by the explicit "
            "tensor shape, making complete shape [-1,4,4])",
        ),
        (
            tensor("input", "INPUT0", dims="-1, 16") + tensor("input", "INPUT1", dims="16"),
            "model 'm', tensor 'INPUT1': the model expects 2 dimensions (shape [-1,16]) but the model configuration "
            "specifies 1 dimensions (shape [16])",
        ),
    ],
)
def test_a_configuration_that_disagrees_with_the_file_is_refused(version, config, message):
    make_onnx_add_sub(version.file("model.onnx"))

    with pytest.raises(BackendError) as failure:
        version.load("onnxruntime", config)

    assert failure.value.message == message


def test_a_file_without_an_open_dimension_cannot_be_batched(version):
    make_onnx_identity(version.file("model.onnx"), shape=(2, 4))

    with pytest.raises(BackendError) as failure:
        version.load("onnxruntime", "max_batch_size: 8")

    assert failure.value.message == (
        "model 'm', tensor 'x': for the model to support batching the shape should have at least 1 dimension and the "
        "first dimension must be -1; but shape expected by the model is [2,4]"
    )


def test_instances_share_the_session_that_told_the_signature(version, monkeypatch):
    import onnxruntime

    made = []
    original = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *a, **k: made.append(original(*a, **k)) or made[-1])
    make_onnx_identity(version.file("model.onnx"))

    instances = version.load("onnxruntime", "instance_group { count: 3 kind: KIND_CPU }")

    assert [instance.name for instance in instances] == ["m_0_0", "m_0_1", "m_0_2"]
    assert len(made) == 1


def test_parameters_reach_the_session(version, monkeypatch):
    import onnxruntime

    given = []
    original = onnxruntime.InferenceSession

    def recorded(path, options, **rest):
        given.append(options)
        return original(path, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", recorded)
    make_onnx_identity(version.file("model.onnx"))
    parameters = {
        "intra_op_thread_count": "2",
        "inter_op_thread_count": "3",
        "execution_mode": "1",
        "enable_mem_arena": "false",
        "enable_mem_pattern": "0",
        "session.disable_prepacking": "1",
    }
    text = "".join(f'parameters {{ key: "{k}" value {{ string_value: "{v}" }} }} ' for k, v in parameters.items())

    (instance,) = version.load("onnxruntime", text + "optimization { graph { level: 2 } }")

    (options,) = given
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 3)
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert not options.enable_cpu_mem_arena
    assert not options.enable_mem_pattern
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert options.get_session_config_entry("session.disable_prepacking") == "1"
    assert instance.execute({"x": np.ones((1, 4), np.float32)})["y"].shape == (1, 4)


def test_a_small_file_starts_no_threads_and_a_large_one_uses_the_cores(version, monkeypatch):
    import onnxruntime

    from windlass.backends import onnxruntime as backend

    threads = []
    original = onnxruntime.InferenceSession

    def recorded(path, options, **rest):
        threads.append(options.intra_op_num_threads)
        return original(path, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", recorded)
    monkeypatch.setattr(backend, "core_count", lambda: 3)
    make_onnx_identity(version.file("model.onnx"))
    version.load("onnxruntime")
    version.file("weights.bin").write_bytes(bytes(backend.SMALL_BYTES))
    version.load("onnxruntime")

    assert threads == [1, 3]


def test_a_parameter_that_is_no_number_is_named(version):
    make_onnx_identity(version.file("model.onnx"))

    with pytest.raises(BackendError, match="`intra_op_thread_count`: expected an integer, got `many`"):
        version.load("onnxruntime", 'parameters { key: "intra_op_thread_count" value { string_value: "many" } }')


def test_a_broken_file_is_an_error_and_prints_nothing(version, capfd):
    version.file("model.onnx").write_bytes(b"no model")

    with pytest.raises(BackendError, match="unable to load model 'm': .*Protobuf parsing failed"):
        version.load("onnxruntime")

    assert capfd.readouterr() == ("", "")


def test_a_missing_file_is_named(version):
    with pytest.raises(BackendError) as failure:
        version.load("onnxruntime")

    assert failure.value.message == f"unable to load model 'm': no `model.onnx` in `{version.path}`"


def test_a_failing_run_is_an_error(version):
    make_onnx_identity(version.file("model.onnx"))
    (instance,) = version.load("onnxruntime")

    with pytest.raises(BackendError, match="onnx runtime error: .*Got invalid dimensions"):
        instance.execute({"x": np.ones((1, 5), np.float32)})


def test_a_gpu_that_is_not_there_is_an_error_and_auto_falls_back(version, no_gpus):
    make_onnx_identity(version.file("model.onnx"))

    with pytest.raises(BackendError, match="instance group m_0 of model m has kind KIND_GPU but no GPUs"):
        version.load("onnxruntime", "instance_group { kind: KIND_GPU }")
    (instance,) = version.load("onnxruntime", "instance_group { kind: KIND_AUTO }")

    assert instance.kind == "CPU"


def test_a_missing_framework_names_what_installs_it(version, monkeypatch):
    import sys

    backend = find("onnxruntime")
    backend._runtime.cache_clear()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(BackendError) as failure:
        version.load("onnxruntime")

    assert failure.value.hint == "pip install 'windlass[onnx]'"


def test_outputs_of_bfloat16_stay_as_they_are(version):
    make_onnx_identity(version.file("model.onnx"), "BF16")
    (instance,) = version.load("onnxruntime")
    first = instance.execute({"x": np.full((2, 4), 1.5, ml_dtypes.bfloat16)})["y"]

    for number in range(20):
        instance.execute({"x": np.full((2, 4), number, ml_dtypes.bfloat16)})

    assert first.tolist() == [[1.5] * 4] * 2


def test_the_server_may_ask_for_one_pool_for_all(version):
    import subprocess
    import sys

    make_onnx_identity(version.file("model.onnx"))
    code = f"""
from pathlib import Path
import numpy as np
from windlass.backends import LoadContext, find
from windlass.config import ModelConfig, normalise
path = Path({str(version.path)!r})
for _ in range(2):
    context = LoadContext("m", 1, path.parent, path, ModelConfig(name="m"), {{"enable-global-threadpool": "1"}})
    opened = find("onnxruntime").open(context)
    (instance,) = opened.instances(normalise(opened.config, "m"))
    print(instance.execute({{"x": np.ones((1, 4), np.float32)}})["y"].sum())
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "4.0\n4.0\n"
