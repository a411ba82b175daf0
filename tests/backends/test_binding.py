"""How inputs become arguments: values only, no framework."""

import pytest

from windlass.backends.binding import Binding, Forward
from windlass.config import parse_text
from windlass.errors import BackendError


def called(inputs: str, forward: Forward, given: str = "") -> tuple[tuple, dict]:
    text = "".join(
        f'input {{ name: "{name.rstrip("?")}" optional: {"true" if "?" in name else "false"} }} '
        for name in inputs.split()
    )
    binding = Binding(parse_text(text + 'output { name: "y" }', "config.pbtxt"), forward)
    values = {name: name for name in (given or inputs.replace("?", "")).split()}
    return binding.call(lambda *positional, **named: (positional, named), values)


@pytest.mark.parametrize(
    ("inputs", "given", "expected"),
    [
        ("a b c", "", (("a", "b", "c"), {})),
        ("c a b", "", (("a", "b", "c"), {})),
        ("a c", "", (("a",), {"c": "c"})),
        ("b", "", ((), {"b": "b"})),
        ("a b? c", "a c", (("a",), {"c": "c"})),
        ("x__2 y__0 z__1", "", (("y__0", "z__1", "x__2"), {})),
        ("one two", "", (("one", "two"), {})),
    ],
)
def test_inputs_go_where_they_belong(inputs, given, expected):
    assert called(inputs, Forward(("a", "b", "c")), given) == expected


def test_an_argument_may_be_given_by_name_only():
    assert called("b a", Forward(("a",), ("b",))) == (("a",), {"b": "b"})


def test_a_dictionary_takes_all():
    assert called("p q", Forward(("x",), takes_dictionary=True)) == (({"p": "p", "q": "q"},), {})


@pytest.mark.parametrize("inputs", ["a b c d", "x__0 x__0", "x__1 y__2"])
def test_what_fits_nowhere_is_refused(inputs):
    with pytest.raises(BackendError, match=r"do not fit forward\(a, b, c\)"):
        called(inputs, Forward(("a", "b", "c")))


@pytest.mark.parametrize(
    ("outputs", "result", "expected"),
    [
        ("p q", (1, 2), {"p": 1, "q": 2}),
        ("p__1 q__0", [1, 2], {"p__1": 2, "q__0": 1}),
        ("q", {"p": 1, "q": 2}, {"q": 2}),
        ("p", 7, {"p": 7}),
        ("p", ["one", "two"], {"p": ["one", "two"]}),
    ],
)
def test_results_become_outputs(outputs, result, expected):
    text = "".join(f'output {{ name: "{name}" }} ' for name in outputs.split())
    binding = Binding(parse_text(text, "config.pbtxt"), Forward(()))

    assert binding.outputs(result) == expected
