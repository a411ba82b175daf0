"""What the configuration of an ensemble must satisfy, by itself and together with the models of its steps."""

import pytest

from windlass.config import normalise, parse_text, validate
from windlass.config.ensemble import is_decoupled, mismatches

STEP = (
    'step {{ model_name: "{0}" model_version: -1 input_map {{ key: "IN" value: "{1}" }} '
    'output_map {{ key: "OUT" value: "{2}" }} }}'
)


def step(model, read, written):
    return STEP.format(model, read, written)


def ensemble(*steps, inputs=("x",), outputs=("y",), dims="-1", batch=8, more=""):
    tensors = "".join(f'input {{ name: "{i}" data_type: TYPE_FP32 dims: [ {dims} ] }} ' for i in inputs)
    tensors += "".join(f'output {{ name: "{o}" data_type: TYPE_FP32 dims: [ {dims} ] }} ' for o in outputs)
    scheduling = f"ensemble_scheduling {{ {' '.join(steps)} }}" if steps else ""
    text = f'name: "e" platform: "ensemble" max_batch_size: {batch} {tensors} {scheduling} {more}'
    return normalise(parse_text(text, "config.pbtxt"), "e")


def model(dims="-1", batch=8, data_type="FP32", more=""):
    tensor = f'name: "%s" data_type: TYPE_{data_type} dims: [ {dims} ]'
    text = f'backend: "b" max_batch_size: {batch} input {{ {tensor % "IN"} }} output {{ {tensor % "OUT"} }} {more}'
    return parse_text(text, "config.pbtxt")


def faults(config):
    return [finding.message for finding in validate(config, "config.pbtxt")]


GOOD = (step("a", "x", "m"), step("b", "m", "y"))


def test_a_good_ensemble_has_no_fault_and_no_group_of_instances():
    config = ensemble(*GOOD)
    assert faults(config) == []
    assert not config.instance_group
    assert not config.HasField("optimization")


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (ensemble(), "ensemble scheduling must be set for ensemble e whose platform is ensemble"),
        (ensemble(" "), "must specify 'step' for ensemble 'e'"),
        (ensemble(step("", "x", "y")), "must specify 'model_name' in step 0 of ensemble 'e'"),
        (
            ensemble(step("a", "x", "m"), 'step { model_name: "b" output_map { key: "OUT" value: "y" } }'),
            "must specify 'input_map' in step 1 of ensemble 'e'",
        ),
        (
            ensemble('step { model_name: "b" input_map { key: "IN" value: "x" } }'),
            "must specify 'output_map' in step 0 of ensemble 'e'",
        ),
        (
            ensemble(step("a", "x", "y"), step("b", "x", "y")),
            "ensemble tensor 'y' can appear in an output map only once for ensemble 'e' step 1",
        ),
        (ensemble(*GOOD, inputs=("x", "z")), "ensemble input 'z' for ensemble e is not used"),
        (ensemble(*GOOD, outputs=("y", "z")), "ensemble output 'z' for ensemble e is not used"),
        (ensemble(*GOOD, step("c", "x", "t")), "ensemble tensor 't' is unused in ensemble 'e'"),
        (
            ensemble(step("a", "q", "y"), step("b", "x", "m"), step("c", "m", "z"), outputs=("y", "z")),
            "output 'y' for ensemble 'e' is not written: at least one of its depending tensors, 'q', is not connected",
        ),
        (
            ensemble(*GOOD, more='backend: "b"'),
            "Ensemble model 'e' must have platform type 'ensemble' and empty backend type",
        ),
        (ensemble(*GOOD, more="instance_group {}"), "instance group should not be specified for ensemble 'e'"),
        (ensemble(*GOOD, more="optimization {}"), "optimization should not be specified for ensemble 'e'"),
        (ensemble(*GOOD, more="model_warmup {}"), "model_warmup can not be specified for ensemble 'e'"),
        (
            normalise(parse_text('backend: "python" ensemble_scheduling {}', "config.pbtxt"), "m"),
            "ensemble scheduling cannot be set for model 'm' whose platform is not ensemble",
        ),
    ],
)
def test_a_fault_is_told_in_the_words_of_the_protocol(config, text):
    assert text in faults(config)


def fits(config, **models):
    return list(mismatches(config, lambda step: models[step.model_name]))


def test_models_that_fit_have_no_mismatch():
    assert fits(ensemble(*GOOD), a=model(), b=model(dims="3")) == []


def test_a_model_without_a_batch_dimension_may_spell_it_out():
    assert fits(ensemble(*GOOD, dims="4"), a=model(dims="4"), b=model(dims="-1, 4", batch=0)) == []


@pytest.mark.parametrize(
    ("models", "text"),
    [
        (
            {"a": model(), "b": model(data_type="INT32")},
            "in ensemble e, ensemble tensor m: inconsistent data type: TYPE_FP32 is inferred from model a while "
            "TYPE_INT32 is inferred from model b",
        ),
        (
            {"a": model(dims="3"), "b": model(dims="4")},
            "in ensemble e, ensemble tensor m: inconsistent shape: [-1,3] is inferred from model a while [-1,4] is "
            "inferred from model b",
        ),
        (
            {"a": model(), "b": model(batch=2)},
            "ensemble e allows maximum batch size 8, but it contains model b which only allows maximum batch size "
            "to be 2",
        ),
        (
            {"a": parse_text('output { name: "OUT" data_type: TYPE_FP32 dims: -1 }', ""), "b": model()},
            "in ensemble e, ensemble tensor x is mapping to non-existing input IN in model a",
        ),
        (
            {"a": model(), "b": parse_text('input { name: "IN" data_type: TYPE_FP32 dims: -1 }', "")},
            "in ensemble e, ensemble tensor y is mapped from non-existing output OUT in model b",
        ),
        (
            {"a": model(more='input { name: "MORE" data_type: TYPE_FP32 dims: 1 }'), "b": model()},
            "in ensemble e, input MORE in model a is not mapped to any ensemble tensors",
        ),
    ],
)
def test_a_mismatch_names_the_models_it_is_between(models, text):
    assert text in fits(ensemble(*GOOD), **models)


DECOUPLED = "model_transaction_policy { decoupled: true }"


def test_an_ensemble_is_decoupled_where_a_step_is():
    def found(**models):
        return is_decoupled(ensemble(*GOOD), lambda step: models[step.model_name])

    assert not found(a=model(), b=model())
    assert found(a=model(more=DECOUPLED), b=model())


def test_a_step_takes_no_tensors_of_different_decoupled_origin():
    join = (
        'step { model_name: "join" input_map [ { key: "IN" value: "l" }, { key: "OTHER" value: "r" } ] '
        'output_map { key: "OUT" value: "y" } }'
    )
    config = ensemble(step("left", "x", "l"), step("right", "x", "r"), join)
    two = model(more='input { name: "OTHER" data_type: TYPE_FP32 dims: -1 }')
    text = "in ensemble e, step of model 'join' receives inputs originated from different decoupled models"

    assert fits(config, left=model(more=DECOUPLED), right=model(more=DECOUPLED), join=two) == [text]
    assert fits(config, left=model(more=DECOUPLED), right=model(), join=two) == [text]
    assert fits(config, left=model(), right=model(), join=two) == []
