"""config.pbtxt: read, completed, shown and checked."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.config import config_json, normalise, parse_json, parse_text, validate
from windlass.errors import ConfigError

MODEL = """
name: "m" backend: "python" max_batch_size: 8
input { name: "a" data_type: TYPE_FP32 dims: [ 4, -1 ] }
output { name: "b" data_type: TYPE_STRING dims: 1 }
"""


def findings(text: str) -> list[str]:
    config = normalise(parse_text(text, "config.pbtxt"), "m")
    return [finding.message for finding in validate(config, "config.pbtxt")]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("\n\nmax_batch_size: fast", "config.pbtxt:3: ", None),
        (
            "max_batch_sizes: 8",
            "config.pbtxt:1: `max_batch_sizes` is no field of ModelConfig",
            "did you mean `max_batch_size`?",
        ),
        (
            "dynamic_batching { max_queue_delay: 5 }",
            "config.pbtxt:1: `max_queue_delay` is no field of ModelDynamicBatching",
            "did you mean `max_queue_delay_microseconds`?",
        ),
        ("input [", "config.pbtxt:1: ", None),
    ],
)
def test_a_fault_is_told_with_its_line_and_what_was_meant(text, message, hint):
    with pytest.raises(ConfigError) as fault:
        parse_text(text, "config.pbtxt")
    assert fault.value.message.startswith(message)
    assert fault.value.hint == hint


@given(st.text(max_size=80))
def test_no_text_raises_anything_else(text):
    try:
        parse_text(text, "config.pbtxt")
    except ConfigError:
        return


def test_what_is_left_out_is_filled_in():
    config = normalise(
        parse_text(MODEL + "dynamic_batching {} instance_group {} instance_group { count: 2 }", "p"), "m"
    )
    assert config.version_policy.latest.num_versions == 1
    assert list(config.dynamic_batching.preferred_batch_size) == [8]
    assert [(group.name, group.count) for group in config.instance_group] == [("m_0", 1), ("m_1", 2)]


def test_json_has_every_scalar_and_sizes_are_numbers():
    shown = json.loads(config_json(normalise(parse_text(MODEL, "p"), "m")))
    assert shown["input"][0]["dims"] == [4, -1]
    assert shown["input"][0]["data_type"] == "TYPE_FP32"
    assert shown["input"][0]["optional"] is False
    assert shown["parameters"] == {}
    assert "dynamic_batching" not in shown


def test_names_that_a_user_chose_are_not_taken_for_members():
    config = parse_text(MODEL + 'parameters { key: "dims" value { string_value: "7" } }', "p")
    assert json.loads(config_json(config))["parameters"] == {"dims": {"string_value": "7"}}


def test_both_spellings_of_json_are_read():
    assert parse_json('{"max_batch_size": 2}') == parse_json('{"maxBatchSize": 2}')
    with pytest.raises(ConfigError, match="Invalid config override"):
        parse_json('{"max_batch_sizes": 2}')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MODEL.replace("data_type: TYPE_FP32 ", ""), "model input 'a' must specify 'data_type' for m"),
        (MODEL.replace("dims: [ 4, -1 ]", ""), "model input 'a' must specify 'dims' for m"),
        (
            MODEL.replace("-1", "0"),
            "model input 'a' dimension must be integer >= 1, or -1 to indicate a variable-size dimension for m",
        ),
        (
            MODEL + "dynamic_batching { preferred_batch_size: 9 }",
            "dynamic batching preferred size must be <= max batch size for m",
        ),
        (
            MODEL + "dynamic_batching { preferred_batch_size: 0 }",
            "dynamic batching preferred size must be positive for m",
        ),
        (MODEL + "dynamic_batching { priority_levels: 2 }", "default priority level must be in range [1, 2] for m"),
        (
            MODEL + "instance_group { kind: KIND_CPU gpus: 0 }",
            "instance group m_0 of model m has kind KIND_CPU but specifies one or more GPUs",
        ),
        (
            MODEL.replace("dims: 1", "dims: [ 2, -1, 3 ] reshape { shape: [ 3, -1, 2 ] }"),
            "model output 'b' has different size for dims and reshape for m",
        ),
        (
            MODEL.replace("dims: 1", "dims: 1 reshape { shape: 0 }"),
            "model output 'b' reshape dimensions must be integer >= 1, or -1 to indicate a variable-size dimension "
            "for m",
        ),
        (
            MODEL.replace("dims: 1", "dims: 1 reshape {}").replace("max_batch_size: 8", ""),
            "model output 'b' cannot have empty reshape for non-batching model as scalar tensors are not supported "
            "for m",
        ),
        (
            MODEL + 'batch_input { target_name: "n" data_type: TYPE_FP32 }',
            "batch input kind 'BATCH_ELEMENT_COUNT' expects 1 source input, got 0 for m",
        ),
        (
            MODEL + 'batch_input { target_name: "n" data_type: TYPE_INT64 source_input: "a" }',
            "batch input data type must be TYPE_INT32 or TYPE_FP32 for m",
        ),
        (
            MODEL + 'batch_input { target_name: "n" data_type: TYPE_FP32 source_input: "z" }',
            "unknown source input name 'z' for m",
        ),
        (
            MODEL + 'batch_output { target_name: "b" source_input: [ "a", "a" ] }',
            "batch output kind 'BATCH_SCATTER_WITH_INPUT_SHAPE' expects 1 source input, got 2 for m",
        ),
        (
            MODEL + 'batch_output { target_name: "z" source_input: "a" }',
            "unknown target output name 'z' for m",
        ),
        (
            MODEL + 'batch_output { target_name: [ "b", "b" ] source_input: "a" }',
            "target output name 'b' can only be specified once for m",
        ),
        (
            MODEL + "response_cache { enable: true } sequence_batching {}",
            "Response Cache does not currently support model m with sequence batching scheduler. Please disable the "
            "response cache.",
        ),
        (
            MODEL + "response_cache { enable: true } model_transaction_policy { decoupled: true }",
            "Response Cache does not currently support model m with 'decoupled' transaction policy. Please disable the "
            "response cache.",
        ),
    ],
)
def test_a_configuration_that_means_nothing_is_refused(text, message):
    assert message in findings(text)


def test_a_good_configuration_has_no_findings():
    assert findings(MODEL) == []
