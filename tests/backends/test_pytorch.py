"""PyTorch: how names find arguments, what comes back, and what an exported program tells of itself."""

import sys

import numpy as np
import pytest

from support.models import (
    make_exported_add_sub,
    make_torchscript_add_sub,
    make_torchscript_dictionary,
    make_torchscript_identity,
    make_torchscript_strings,
)
from windlass.config.datatypes import BY_WIRE, numpy_dtype
from windlass.errors import BackendError


def config(inputs: str, outputs: str, data_type: str = "FP32", dims: str = "4") -> str:
    def tensors(kind: str, names: str) -> str:
        return "".join(
            f'{kind} {{ name: "{name}" data_type: TYPE_{data_type} dims: [ {dims} ] }} ' for name in names.split()
        )

    return "max_batch_size: 8 " + tensors("input", inputs) + tensors("output", outputs)


def parameter(name: str, value: str) -> str:
    return f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }} '


ONES = np.ones((2, 4), np.float32)


@pytest.mark.parametrize(
    ("inputs", "difference"),
    [
        ("INPUT0 INPUT1", -1),
        ("INPUT1 INPUT0", -1),
        ("x__0 y__1", -1),
        ("x__1 y__0", 1),
        ("first second", -1),
    ],
)
def test_inputs_find_their_arguments(version, inputs, difference):
    make_torchscript_add_sub(version.file("model.pt"))

    (instance,) = version.load("pytorch", config(inputs, "sum difference"))
    one, two = inputs.split()
    if one == "INPUT1":
        one, two = two, one
    outputs = instance.execute({one: ONES, two: 2 * ONES})

    np.testing.assert_array_equal(outputs["sum"], 3 * ONES)
    np.testing.assert_array_equal(outputs["difference"], difference * ONES)


def test_outputs_with_an_index_are_found_by_it(version):
    make_torchscript_add_sub(version.file("model.pt"))

    (instance,) = version.load("pytorch", config("INPUT0 INPUT1", "difference__1 sum__0"))
    outputs = instance.execute({"INPUT0": ONES, "INPUT1": ONES})

    assert (outputs["sum__0"].sum(), outputs["difference__1"].sum()) == (16, 0)


def test_a_dictionary_takes_inputs_and_gives_outputs_by_name(version):
    make_torchscript_dictionary(version.file("model.pt"))

    (instance,) = version.load("pytorch", config("b a", "difference sum"))
    outputs = instance.execute({"a": ONES, "b": 2 * ONES})

    assert (outputs["sum"].sum(), outputs["difference"].sum()) == (24, -8)


def test_an_output_that_the_dictionary_lacks_is_named(version):
    make_torchscript_dictionary(version.file("model.pt"))
    (instance,) = version.load("pytorch", config("a b", "product"))

    with pytest.raises(BackendError, match="returned no output `product`: it returned `sum`, `difference`"):
        instance.execute({"a": ONES, "b": ONES})


def test_more_outputs_than_the_model_returns_are_an_error(version):
    make_torchscript_add_sub(version.file("model.pt"))
    (instance,) = version.load("pytorch", config("INPUT0 INPUT1", "a b c"))

    with pytest.raises(BackendError, match="the model returned 2 outputs, the configuration names a, b, c"):
        instance.execute({"INPUT0": ONES, "INPUT1": ONES})


@pytest.mark.parametrize("inputs", ["x__0 y__2", "one two three"])
def test_inputs_that_fit_no_argument_are_refused(version, inputs):
    make_torchscript_add_sub(version.file("model.pt"))

    with pytest.raises(BackendError, match=r"do not fit forward\(INPUT0, INPUT1\)"):
        version.load("pytorch", config(inputs, "sum"))


def test_strings_are_a_list(version):
    make_torchscript_strings(version.file("model.pt"))

    (instance,) = version.load("pytorch", config("texts", "upper", "STRING", "1"))
    outputs = instance.execute({"texts": np.array([[b"one"], ["中a".encode()]], dtype=object)})

    assert outputs["upper"].tolist() == [["ONE"], ["中A"]]


@pytest.mark.parametrize("data_type", sorted(BY_WIRE.keys() - {"BYTES"}))
def test_every_type_comes_out_as_it_went_in(version, data_type):
    make_torchscript_identity(version.file("model.pt"))
    given = np.array([[0, 1], [1, 0]]).astype(numpy_dtype(BY_WIRE[data_type]))

    (instance,) = version.load("pytorch", config("x", "y", data_type, "2"))
    found = instance.execute({"x": given.copy()})["y"]

    assert found.tolist() == given.tolist()
    assert found.dtype == given.dtype


def test_torchscript_needs_a_configuration(version):
    make_torchscript_add_sub(version.file("model.pt"))

    with pytest.raises(BackendError, match="must specify inputs and outputs"):
        version.load("pytorch")


def test_an_exported_program_is_a_complete_model(version):
    make_exported_add_sub(version.file("model.pt2"))

    (instance,) = version.load("pytorch")
    outputs = instance.execute({"a": ONES, "b": 2 * ONES})

    assert version.config.max_batch_size == 4
    assert [(i.name, i.data_type, list(i.dims)) for i in version.config.input] == [("a", 11, [4]), ("b", 11, [4])]
    assert [output.name for output in version.config.output] == ["output__0", "output__1"]
    assert (outputs["output__0"].sum(), outputs["output__1"].sum()) == (24, -8)


def test_an_exported_program_names_the_outputs_of_a_dictionary(version):
    make_exported_add_sub(version.file("model.pt2"), dictionary=True)

    (instance,) = version.load("pytorch")

    assert [output.name for output in version.config.output] == ["sum", "difference"]
    assert instance.execute({"a": ONES, "b": ONES})["difference"].sum() == 0


def test_an_exported_program_with_fixed_sizes_is_not_batched(version):
    make_exported_add_sub(version.file("model.pt2"), batched=False)

    (instance,) = version.load("pytorch")

    assert version.config.max_batch_size == 0
    assert list(version.config.input[0].dims) == [2, 4]
    assert instance.execute({"a": ONES, "b": ONES})["output__0"].sum() == 16


def test_an_exported_program_refuses_a_configuration_that_disagrees(version):
    make_exported_add_sub(version.file("model.pt2"))

    with pytest.raises(BackendError, match="expects datatype TYPE_INT32 for input 'a', model provides TYPE_FP32"):
        version.load("pytorch", config("a b", "output__0", "INT32"))


def test_instances_share_the_module_unless_they_are_told_not_to(version, monkeypatch):
    import torch

    loads = []
    original = torch.jit.load
    monkeypatch.setattr(torch.jit, "load", lambda *a, **k: loads.append(a) or original(*a, **k))
    make_torchscript_add_sub(version.file("model.pt"))
    text = config("INPUT0 INPUT1", "sum") + "instance_group { count: 3 kind: KIND_CPU } "

    assert len(version.load("pytorch", text)) == 3
    assert len(loads) == 1
    version.load("pytorch", text + parameter("ENABLE_WEIGHT_SHARING", "false"))
    assert len(loads) == 4


@pytest.mark.parametrize(
    "text",
    [
        parameter("INFERENCE_MODE", "false"),
        parameter("DISABLE_OPTIMIZED_EXECUTION", "true"),
        parameter("INTER_OP_THREAD_COUNT", "1"),
    ],
)
def test_a_model_answers_under_every_mode(version, text):
    make_torchscript_add_sub(version.file("model.pt"))

    (instance,) = version.load("pytorch", config("INPUT0 INPUT1", "sum") + text)

    assert instance.execute({"INPUT0": ONES, "INPUT1": ONES})["sum"].sum() == 16


def test_threads_are_set_for_the_thread_that_computes(version):
    import torch

    make_torchscript_add_sub(version.file("model.pt"))
    before = torch.get_num_threads()
    try:
        text = parameter("INTRA_OP_THREAD_COUNT", str(before + 1))
        (instance,) = version.load("pytorch", config("INPUT0 INPUT1", "sum") + text)
        instance.execute({"INPUT0": ONES, "INPUT1": ONES})
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_a_failing_forward_is_an_error(version):
    make_torchscript_add_sub(version.file("model.pt"))
    (instance,) = version.load("pytorch", config("INPUT0 INPUT1", "sum"))

    with pytest.raises(BackendError, match="(?s)^PyTorch execute failure: .*must match the size"):
        instance.execute({"INPUT0": ONES, "INPUT1": np.ones((2, 3), np.float32)})


@pytest.mark.parametrize("name", ["model.pt", "model.pt2"])
def test_a_broken_file_is_an_error(version, name):
    version.file(name).write_bytes(b"no model")

    with pytest.raises(BackendError, match=f"unable to load model 'm': failed to load `.*{name}`"):
        version.load("pytorch", config("a b", "c"))


def test_a_gpu_that_is_not_there_is_an_error_and_auto_falls_back(version, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    make_torchscript_add_sub(version.file("model.pt"))
    text = config("INPUT0 INPUT1", "sum")

    with pytest.raises(BackendError, match="has kind KIND_GPU but no GPUs are available"):
        version.load("pytorch", text + "instance_group { kind: KIND_GPU }")
    (instance,) = version.load("pytorch", text + "instance_group { kind: KIND_AUTO }")

    assert instance.kind == "CPU"


@pytest.mark.gpu
def test_a_model_runs_on_the_gpu(version):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    make_torchscript_add_sub(version.file("model.pt"))

    instance = version.load("pytorch", config("INPUT0 INPUT1", "sum") + "instance_group { kind: KIND_GPU }")[0]

    assert (instance.kind, instance.device) == ("GPU", 0)
    assert instance.execute({"INPUT0": ONES, "INPUT1": ONES})["sum"].sum() == 16


def test_a_missing_framework_names_what_installs_it(version, monkeypatch):
    from windlass.backends import pytorch

    pytorch._torch.cache_clear()
    monkeypatch.setitem(sys.modules, "torch", None)

    with pytest.raises(BackendError) as failure:
        version.load("pytorch")

    assert failure.value.hint == "pip install 'windlass[torch]'"
