"""What is said of a configuration of sequences; the real Triton says the same, word for word."""

import pytest

from windlass.config import as_executed, normalise, parse_text, validate

MODEL = """
name: "m" backend: "python" max_batch_size: 8
input { name: "a" data_type: TYPE_FP32 dims: [ 4 ] }
output { name: "b" data_type: TYPE_FP32 dims: [ 4 ] }
"""
ONE = "int32_false_true: [ 0, 1 ]"


def control(name: str, kind: str, values: str = ONE) -> str:
    return f'control_input {{ name: "{name}" control {{ kind: CONTROL_SEQUENCE_{kind} {values} }} }} '


def state(initial: str = "", dims: str = "1") -> str:
    return f'state {{ input_name: "i" output_name: "o" data_type: TYPE_FP32 dims: [ {dims} ] {initial} }}'


def initial(changes: str) -> str:
    return state(f"initial_state {{ {changes} }}")


def findings(batching: str, more: str = "") -> list[str]:
    config = parse_text(f"{MODEL} sequence_batching {{ {batching} }} {more}", "p")
    return [finding.message for finding in validate(normalise(config, "m"), "p")]


@pytest.mark.parametrize(
    ("batching", "message"),
    [
        (control("", "START"), "sequence batching control tensor must have a name for m"),
        (
            control("A", "START") + control("A", "END"),
            "sequence batching control tensor 'A' is specified for multiple control kinds for m",
        ),
        (
            control("A", "START") + control("B", "START"),
            "sequence batching specifies multiple CONTROL_SEQUENCE_START tensors for m",
        ),
        (
            control("A", "READY", ""),
            "sequence batching must specify either 'int32_false_true', 'fp32_false_true' or 'bool_false_true' for "
            "CONTROL_SEQUENCE_READY for m",
        ),
        (
            control("A", "END", ONE + "fp32_false_true: [ 0, 1 ]"),
            "sequence batching specifies more than one from 'int32_false_true', 'fp32_false_true' and "
            "'bool_false_true' for CONTROL_SEQUENCE_END for m",
        ),
        (
            control("A", "START", "int32_false_true: [ 0, 1, 2 ]"),
            "sequence batching control 'int32_false_true' must have exactly 2 entries for CONTROL_SEQUENCE_START for m",
        ),
        (
            control("A", "CORRID", "data_type: TYPE_FP32"),
            "unexpected data type for control CONTROL_SEQUENCE_CORRID for m. Allowed data types are TYPE_UINT64, "
            "TYPE_INT64, TYPE_UINT32, TYPE_INT32 and TYPE_STRING",
        ),
        (
            control("A", "CORRID", "data_type: TYPE_UINT64 " + ONE),
            "sequence batching must not specify either 'int32_false_true', 'fp32_false_true' or 'bool_false_true' for "
            "CONTROL_SEQUENCE_CORRID for m",
        ),
        (
            "direct { minimum_slot_utilization: 2 }",
            "sequence batching minimum slot utilization must be in range (0.0, 1.0] for m",
        ),
        ("oldest { preferred_batch_size: 0 }", "sequence batching preferred batch size must be positive for m"),
        (
            "oldest { preferred_batch_size: 9 }",
            "sequence batching preferred batch size must be <= max batch size for m",
        ),
        (
            initial('name: "z" data_type: TYPE_INT32 dims: 1 zero_data: true'),
            "The data type used for 'initial_state' field of state 'i' does not match the state data type.",
        ),
        (
            initial("data_type: TYPE_FP32 dims: 1 zero_data: true"),
            "Field 'name' must be set when using initial_state for state input 'i'.",
        ),
        (
            initial('name: "z" data_type: TYPE_FP32 dims: [ 1, 1 ] zero_data: true'),
            "Number of dimensions in 'initial_state' doesn't match the size of 'state' dimensions for state input 'i'. "
            "2 != 1",
        ),
        (
            initial('name: "z" data_type: TYPE_FP32 dims: -1 zero_data: true'),
            "'initial_state' field for state input name 'i' contains variable dimensions.",
        ),
        (
            initial('name: "z" data_type: TYPE_FP32 dims: 2 zero_data: true'),
            "'initial_state' dim for input name 'i' doesn't match 'state' dim description. 2 != 1",
        ),
        (
            initial('name: "z" data_type: TYPE_FP32 dims: 1'),
            "initial_state setting expects state'i' to have state_data set",
        ),
        (
            state(2 * 'initial_state { name: "z" data_type: TYPE_FP32 dims: 1 zero_data: true }'),
            "initial_state field for state input 'i' must contain exactly one or zero element. Found '2' elements.",
        ),
        (state(dims="0"), "state 'i' dimension must be integer >= 1, or -1 to indicate a variable-size dimension"),
    ],
)
def test_sequences_that_mean_nothing_are_refused(batching, message):
    assert message in findings(batching)


def test_sequences_are_not_cached():
    assert findings("", "response_cache { enable: true }") == [
        "Response Cache does not currently support model m with sequence batching scheduler. "
        "Please disable the response cache."
    ]


def test_good_sequences_have_no_findings():
    zero = 'initial_state { name: "z" data_type: TYPE_FP32 dims: 3 zero_data: true }'
    assert findings(control("A", "START") + control("B", "CORRID", "data_type: TYPE_STRING") + state(zero, "-1")) == []


def test_a_model_gets_more_than_its_clients_send():
    batching = control("A", "START") + control("B", "CORRID", "data_type: TYPE_STRING") + state(dims="3, -1")
    config = parse_text(f"{MODEL} sequence_batching {{ {batching} }}", "p")
    executed = as_executed(config)
    assert [(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in executed.input] == [
        ("a", 11, [4]),
        ("A", 8, [1]),
        ("B", 13, [1]),
        ("i", 11, [3, -1]),
    ]
    assert [tensor.name for tensor in executed.output] == ["b", "o"]
    plain = parse_text(MODEL, "p")
    assert as_executed(plain) == plain
