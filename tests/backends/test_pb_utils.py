"""``triton_python_backend_utils``, as models import it."""

import logging

import ml_dtypes
import numpy as np
import pytest

from windlass.backends.python import triton_python_backend_utils as pb_utils
from windlass.backends.python.triton.request import ReceivedRequest
from windlass.config.datatypes import ALL


def test_a_request_shows_what_the_client_sent(make_request):
    request = ReceivedRequest(
        make_request(
            {"x": np.ones(2)},
            id="7",
            requested_outputs=["y"],
            parameters={"a": 1, "b": "text", "c": True},
            correlation_id="s",
            flags=pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END,
            timeout_us=5,
            cancelled=True,
        )
    )

    assert [tensor.name() for tensor in request.inputs()] == ["x"]
    assert (request.request_id(), request.correlation_id(), request.flags(), request.timeout()) == ("7", "s", 2, 5)
    assert request.requested_output_names() == {"y"}
    assert request.parameters() == '{"a": 1, "b": "text", "c": true}'
    assert request.is_cancelled()


def test_tensors_are_found_by_name(make_request):
    request = ReceivedRequest(make_request({"x": np.ones(2)}))
    response = pb_utils.InferenceResponse([pb_utils.Tensor("y", np.zeros(3))])

    assert pb_utils.get_input_tensor_by_name(request, "x").as_numpy().sum() == 2
    assert pb_utils.get_input_tensor_by_name(request, "y") is None
    assert pb_utils.get_output_tensor_by_name(response, "y").shape() == [3]
    assert pb_utils.get_output_tensor_by_name(response, "x") is None


def test_a_response_has_outputs_or_an_error():
    error = pb_utils.TritonError("gone", pb_utils.TritonError.NOT_FOUND)

    good = pb_utils.InferenceResponse(output_tensors=[], parameters={"k": 1})
    bad = pb_utils.InferenceResponse(error=error)

    assert (good.has_error(), good.error(), good.parameters()) == (False, None, '{"k": 1}')
    assert (bad.has_error(), bad.error().message(), bad.error().code()) == (True, "gone", "NOT_FOUND")
    assert pb_utils.TritonError("x").code() == pb_utils.TritonError.INTERNAL


@pytest.mark.parametrize("data_type", [t for t in ALL if t.wire != "BF16"], ids=lambda t: t.wire)
def test_types_have_numbers_and_names(data_type):
    dtype = pb_utils.triton_to_numpy_type(data_type.number)

    assert np.dtype(dtype) == np.dtype(data_type.numpy)
    assert pb_utils.numpy_to_triton_type(dtype) == data_type.number
    assert pb_utils.triton_string_to_numpy(data_type.config) == dtype
    assert pb_utils.Tensor("x", np.zeros(1, dtype)).triton_dtype() == data_type.number


def test_strings_are_serialised_with_their_lengths():
    array = np.array([["é", b"\0"], [b"", "ab"]], dtype=object)

    encoded = pb_utils.serialize_byte_tensor(array)

    assert pb_utils.deserialize_bytes_tensor(encoded).tolist() == ["é".encode(), b"\0", b"", b"ab"]


def test_tensors_travel_by_dlpack():
    import torch

    array = np.arange(6, dtype=np.float32).reshape(2, 3)

    shared = torch.from_dlpack(pb_utils.Tensor("x", array))
    shared[0, 0] = 7
    back = pb_utils.Tensor.from_dlpack("y", shared)
    capsule = pb_utils.Tensor.from_dlpack("z", pb_utils.Tensor("x", array).to_dlpack())

    assert array[0, 0] == 7
    assert back.as_numpy().tolist() == capsule.as_numpy().tolist() == array.tolist()
    assert back.is_cpu()


def test_bfloat16_travels_by_dlpack():
    import torch

    array = np.array([1.5, -2], ml_dtypes.bfloat16)

    there = torch.from_dlpack(pb_utils.Tensor("x", array))
    back = pb_utils.Tensor.from_dlpack("y", there * 2)

    assert (there.dtype, there.tolist()) == (torch.bfloat16, [1.5, -2])
    assert (back.as_numpy().dtype, back.as_numpy().tolist()) == (array.dtype, [3, -4])
    assert back.triton_dtype() == 14


def test_the_memory_of_a_gpu_is_refused_in_words():
    class OnGpu:
        def __dlpack_device__(self):
            return (2, 0)

    with pytest.raises(BufferError, match="copy it to the CPU first"):
        pb_utils.Tensor.from_dlpack("x", OnGpu())


def test_configurations_are_looked_up_by_name():
    config = {
        "input": [{"name": "x"}],
        "output": [{"name": "y"}],
        "model_transaction_policy": {"decoupled": True},
    }

    assert pb_utils.get_input_config_by_name(config, "x") == {"name": "x"}
    assert pb_utils.get_output_config_by_name(config, "x") is None
    assert pb_utils.using_decoupled_model_transaction_policy(config)
    assert not pb_utils.using_decoupled_model_transaction_policy({})


def test_a_configuration_is_completed():
    config = pb_utils.ModelConfig(
        {"name": "m", "max_batch_size": 2, "input": [{"name": "x", "data_type": "TYPE_INVALID"}]}
    )

    config.add_input({"name": "x", "data_type": "TYPE_FP32", "dims": [4]})
    config.add_output({"name": "y", "data_type": "TYPE_FP32", "dims": (4,)})
    config.set_max_batch_size(8)
    config.set_dynamic_batching()
    config.set_model_transaction_policy({"decoupled": False})

    assert config.as_dict() == {
        "name": "m",
        "max_batch_size": 8,
        "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}],
        "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [4]}],
        "dynamic_batching": {},
        "model_transaction_policy": {"decoupled": False},
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c.add_input({"data_type": "TYPE_FP32", "dims": [1]}),
            "^input in model 'm' is missing 'name' property.$",
        ),
        (
            lambda c: c.add_output({"name": "y", "dims": [1]}),
            "^output 'y' in model 'm' is missing 'data_type' property.$",
        ),
        (lambda c: c.add_output({"name": "y", "size": 1}), "unknown properties \\['size'\\]"),
        (
            lambda c: c.add_input({"name": "x", "data_type": "TYPE_FP32", "dims": [5]}),
            "^model 'm', tensor 'x': the model expects dims \\[5\\] but the model configuration specifies dims \\[4\\]",
        ),
        (lambda c: c.set_max_batch_size(2), "specified max-batch-size 4"),
        (lambda c: c.set_model_transaction_policy({"coupled": True}), "only `decoupled` is known"),
    ],
)
def test_a_completion_that_contradicts_the_configuration_is_refused(change, message):
    config = pb_utils.ModelConfig(
        {"name": "m", "max_batch_size": 4, "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}]}
    )

    with pytest.raises(ValueError, match=message):
        change(config)


def test_the_logger_writes_to_the_servers_log(caplog):
    caplog.set_level(logging.DEBUG, logger="windlass")

    pb_utils.Logger.log_info("one")
    pb_utils.Logger.log_warn("two")
    pb_utils.Logger.log_error("three")
    pb_utils.Logger.log_verbose("four")
    pb_utils.Logger.log("five", pb_utils.Logger.WARNING)

    assert [(r.levelname, r.message) for r in caplog.records] == [
        ("INFO", "one"),
        ("WARNING", "two"),
        ("ERROR", "three"),
        ("DEBUG", "four"),
        ("WARNING", "five"),
    ]


def test_what_is_missing_says_so():
    with pytest.raises(AttributeError, match="`triton_python_backend_utils.Nothing` is not offered by this version"):
        _ = pb_utils.Nothing


def test_a_model_knows_its_folder(version):
    version.write(
        "import triton_python_backend_utils as pb_utils\n\nclass TritonPythonModel:\n"
        "    def execute(self, requests):\n        return pb_utils.get_model_dir()\n"
    )
    (instance,) = version.load("python")

    assert instance._model.execute([]) == str(version.path)
    with pytest.raises(pb_utils.TritonModelException, match="outside of a model"):
        pb_utils.get_model_dir()
