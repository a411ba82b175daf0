"""``@windlass.model``: what annotations say, how batches and rows reach a function, and how failures read."""

import re
import textwrap

import numpy as np
import pytest

from support.models import make_python_function
from windlass.config.datatypes import BY_NUMBER
from windlass.errors import BackendError, ConfigError

HEAD = "import windlass\nfrom windlass import Tensor\n\n"


def declared(tensors) -> list[tuple[str, str, list[int]]]:
    return [(given.name, BY_NUMBER[given.data_type].wire, list(given.dims)) for given in tensors]


def texts(*values: str) -> np.ndarray:
    return np.array([[value.encode()] for value in values], dtype=object)


def test_a_function_gets_the_joined_batch(version):
    make_python_function(version.file("model.py"))

    (instance,) = version.load("python", "instance_group { kind: KIND_CPU }")
    outputs = instance.execute({"x": np.ones((3, 4), np.float32)})

    assert not instance.per_request
    assert declared(version.config.input) == [("x", "FP32", [4])]
    assert declared(version.config.output) == [("output", "FP32", [4])]
    assert version.config.max_batch_size == 64
    assert outputs["output"].tolist() == [[2.0] * 4] * 3


@pytest.mark.parametrize(
    ("annotation", "result"),
    [
        ('{"sum": Tensor["FP32", 2], "size": Tensor["INT64"]}', '{"sum": a + b, "size": np.array([2] * len(a))}'),
        ("Sums", '{"size": [2] * len(a), "sum": (a + b).tolist()}'),
    ],
)
def test_several_outputs_are_a_dictionary(version, annotation, result):
    version.write(
        f"""
from typing import TypedDict
import numpy as np
import windlass
from windlass import Tensor

class Sums(TypedDict):
    sum: Tensor["FP32", 2]
    size: Tensor["INT64"]

@windlass.model(max_batch_size=8)
def sums(a: Tensor[np.float32, 2], b: Tensor["FP32", 2]) -> {annotation}:
    return {result}
"""
    )

    (instance,) = version.load("python")
    outputs = instance.execute({"a": np.ones((3, 2), np.float32), "b": np.ones((3, 2), np.float32)})

    assert declared(version.config.output) == [("sum", "FP32", [2]), ("size", "INT64", [1])]
    assert (outputs["sum"].dtype, outputs["sum"].tolist()) == (np.float32, [[2.0, 2.0]] * 3)
    assert (outputs["size"].dtype, outputs["size"].tolist()) == (np.int64, [[2]] * 3)


def test_a_class_is_made_for_each_instance_and_closed(version, caplog):
    version.write(
        HEAD
        + """
import itertools
numbers = itertools.count()

@windlass.model
class Number:
    def __init__(self):
        self.number = next(numbers)

    def __call__(self, x: Tensor["INT64", -1]) -> Tensor["INT64", -1]:
        return x + self.number

    def close(self):
        raise OSError("still open")
"""
    )

    first, second = version.load("python", "instance_group { count: 2 kind: KIND_CPU }")
    given = np.zeros(2, np.int64)

    assert version.config.max_batch_size == 0
    assert first.execute({"x": given})["output"].tolist() == [0, 0]
    assert second.execute({"x": given})["output"].tolist() == [1, 1]
    version.close()
    assert "instance `m_0_1` failed to close: OSError: still open" in caplog.text


def test_a_coroutine_is_awaited(version, caplog):
    version.write(
        HEAD
        + """
import asyncio

@windlass.model
class Slow:
    async def __call__(self, x: Tensor["INT64", -1]) -> Tensor["INT64", -1]:
        await asyncio.sleep(0)
        return x * 2

    def close(self):
        raise OSError("still open")
"""
    )

    (instance,) = version.load("python")
    assert instance.execute({"x": np.array([1, 2])})["output"].tolist() == [2, 4]
    assert not version.config.model_transaction_policy.decoupled
    version.close()
    assert "failed to close: OSError: still open" in caplog.text


def test_plain_arguments_are_the_values_of_one_row(version, make_request):
    version.write(
        HEAD
        + """
@windlass.model(max_batch_size=8)
def shout(text: str, times: int = 1) -> str:
    return text.upper() + "!" * times
"""
    )

    (instance,) = version.load("python")
    answers = instance.execute_each(
        [
            make_request({"text": texts("a", "é"), "times": np.array([[2], [3]])}),
            make_request({"text": texts("b")}),
        ]
    )

    assert declared(version.config.input) == [("text", "BYTES", [1]), ("times", "INT64", [1])]
    assert [given.optional for given in version.config.input] == [False, True]
    assert [answer["output"].tolist() for answer in answers] == [[["A!!"], ["É!!!"]], [["B!"]]]


def test_a_row_that_fails_takes_no_other_request_with_it(version, make_request):
    version.write(
        HEAD + "@windlass.model(max_batch_size=8)\ndef half(number: float) -> float:\n    return 1 / number\n"
    )
    (instance,) = version.load("python", "instance_group { kind: KIND_CPU }")

    good, bad = instance.execute_each(
        [make_request({"number": np.array([[2.0]])}), make_request({"number": np.array([[0.0]])})]
    )

    assert good["output"].tolist() == [[0.5]]
    assert bad.message == (
        "Failed to process the request(s) for model 'm_0_0', message: ZeroDivisionError: float division by zero"
        f"\n\nAt:\n  {version.file('model.py')}(6): half\n"
    )


def test_arrays_beside_plain_arguments_are_of_one_row_too(version, make_request):
    version.write(
        HEAD
        + """
@windlass.model(max_batch_size=8)
def scaled(x: Tensor["FP32", 2], by: float) -> {"scaled": Tensor["FP32", 2], "ndim": int, "ok": bool}:
    return {"scaled": x * by, "ndim": x.ndim, "ok": True}
"""
    )
    (instance,) = version.load("python")

    (answer,) = instance.execute_each([make_request({"x": np.ones((2, 2), np.float32), "by": np.array([[2.0], [3]])})])

    assert answer["scaled"].tolist() == [[2, 2], [3, 3]]
    assert answer["ndim"].tolist() == [[1], [1]]
    assert answer["ok"].tolist() == [[True], [True]]


def test_a_list_is_one_value_of_every_row(version):
    version.write(
        HEAD
        + """
@windlass.model(max_batch_size=8)
def lengths(texts: list[str], raw: list[bytes]) -> {"chars": list[int], "joined": list[str]}:
    return {"chars": [len(t) for t in texts], "joined": [t + r.decode() for t, r in zip(texts, raw)]}
"""
    )

    (instance,) = version.load("python")
    outputs = instance.execute({"texts": texts("é", "ab"), "raw": texts("1", "2")})

    assert declared(version.config.input) == [("texts", "BYTES", [1]), ("raw", "BYTES", [1])]
    assert outputs["chars"].tolist() == [[1], [2]]
    assert outputs["joined"].tolist() == [["é1"], ["ab2"]]


def test_without_a_batch_a_list_is_a_tensor_of_any_length(version):
    version.write(HEAD + "@windlass.model\ndef total(x: list[float]) -> list[float]:\n    return [sum(x)]\n")

    (instance,) = version.load("python")

    assert declared(version.config.input) == [("x", "FP64", [-1])]
    assert instance.execute({"x": np.array([1.0, 2.0])})["output"].tolist() == [3.0]


def test_plain_arrays_take_their_types_from_the_configuration(version):
    version.write(
        "import numpy as np\nimport windlass\n\n"
        "@windlass.model\ndef flip(x: np.ndarray) -> np.ndarray:\n    return -x\n"
    )
    tensor = 'name: "%s" data_type: TYPE_FP16 dims: [ 2 ]'
    text = f"max_batch_size: 4 input {{ {tensor % 'x'} }} output {{ {tensor % 'y'} }}"

    (instance,) = version.load("python", text)

    assert instance.execute({"x": np.ones((1, 2), np.float16)})["y"].tolist() == [[-1, -1]]


def test_the_decorator_sets_batching_and_the_configuration_goes_before_it(version):
    source = "@windlass.model(max_batch_size=8, max_queue_delay_us=500, preferred_batch_sizes=[4, 8])\n"
    version.write(HEAD + source + "def same(x: list[int]) -> list[int]:\n    return x\n")

    version.load("python")
    batching = version.config.dynamic_batching
    assert (version.config.max_batch_size, batching.max_queue_delay_microseconds) == (8, 500)
    assert list(batching.preferred_batch_size) == [4, 8]

    version.load("python", "max_batch_size: 2 dynamic_batching { max_queue_delay_microseconds: 7 }")
    assert version.config.max_batch_size == 2
    assert version.config.dynamic_batching.max_queue_delay_microseconds == 7


def test_annotations_may_be_postponed(version):
    version.write(
        "from __future__ import annotations\n"
        + HEAD
        + "@windlass.model\ndef same(x: Tensor['BF16', 2]) -> {'y': Tensor['BF16', 2]}:\n    return x\n"
    )

    version.load("python")

    assert declared(version.config.input) == [("x", "BF16", [2])]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def same(x):\n    return x\n", "input `x` of `.*model.py` has no type"),
        ("def same(x: int):\n    return x\n", "output `output` of `.*model.py` has no type"),
        ("def same(x: nothing):\n    return x\n", "NameError: name 'nothing' is not defined"),
        (
            "class Same:\n    def __init__(self):\n        raise OSError('no weights')\n\n"
            "    def __call__(self, x: int) -> int:\n        return x\n",
            "OSError: no weights\n\nAt:\n  .*model.py\\(7\\): __init__",
        ),
        (
            "def same(x: int) -> int:\n    return x\n\n@windlass.model\ndef other(x: int) -> int:\n    return x\n",
            "marks several models: `same`, `other`",
        ),
    ],
)
def test_a_function_that_cannot_be_served_says_why(version, source, message):
    version.write(HEAD + "@windlass.model\n" + source)

    with pytest.raises(BackendError, match=message):
        version.load("python", "instance_group { kind: KIND_CPU }")


def test_an_input_that_the_function_does_not_take_is_named(version):
    make_python_function(version.file("model.py"))

    with pytest.raises(BackendError, match="config.pbtxt has input `y`, which `.*model.py` does not take"):
        version.load("python", 'input { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }')


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return x / 2", "TypeError: output `output`: expected int64, got float64"),
        ("return {'other': x}", "ValueError: the result has no `output`: it has `other`"),
        ("return helper(x)", "ValueError: deep\n\nAt:\n  .*model.py\\(5\\): helper\n  .*model.py\\(9\\): wrong$"),
    ],
)
def test_a_result_that_is_none_fails_the_batch(version, body, message):
    helper = "def helper(x):\n    raise ValueError('deep')\n\n"
    version.write(
        HEAD + helper + f"@windlass.model\ndef wrong(x: Tensor['INT64', -1]) -> Tensor['INT64', -1]:\n    {body}\n"
    )
    (instance,) = version.load("python", "instance_group { kind: KIND_CPU }")

    with pytest.raises(
        BackendError, match=r"^Failed to process the request\(s\) for model 'm_0_0', message: " + message
    ):
        instance.execute({"x": np.ones(2, np.int64)})


@pytest.mark.parametrize("item", ["FP31", ("FP32", 0), ("FP32", "N")])
def test_an_annotation_that_means_nothing_is_refused(item):
    from windlass import Tensor

    with pytest.raises(ConfigError, match=r"^Tensor\["):
        Tensor[item]


def examples() -> list[str]:
    from windlass.backends.python import function_model

    blocks = re.findall(r"(?:^    .*\n|^\n)+", function_model.__doc__, re.MULTILINE)
    return [textwrap.dedent(block) for block in blocks if "@windlass.model" in block]


@pytest.mark.parametrize(
    ("number", "inputs", "expected"),
    [
        (0, {"x": np.ones((2, 16), np.float32)}, [[2.0] * 16] * 2),
        (1, {"text": texts("a", "b")}, [["A!"], ["B!"]]),
        (3, {"ids": np.array([1, 0])}, [[1.0] * 128, [0.0] * 128]),
    ],
)
def test_the_examples_of_the_documentation_run(version, make_request, number, inputs, expected):
    np.save(version.file("table.npy"), np.stack([np.full(128, n, np.float32) for n in range(2)]))
    head = "from pathlib import Path\nimport numpy as np\nimport windlass\nfrom windlass import Tensor\n\n"
    version.write(head + examples()[number])

    (instance,) = version.load("python", "instance_group { kind: KIND_CPU }")
    outputs = instance.execute_each([make_request(inputs)])[0] if instance.per_request else instance.execute(inputs)

    assert outputs["output"].tolist() == expected


class Answers:
    """Keeps what a model sends to its client."""

    def __init__(self):
        self.sent = []

    def send(self, outputs=None, error=None, parameters=None, last=False):
        self.sent.append(error or (outputs["output"].tolist() if outputs else None))

    def is_cancelled(self):
        return False


def test_the_example_of_a_generator_runs(version, make_request):
    version.write("from collections.abc import Iterator\nimport windlass\n\n" + examples()[2])
    (instance,) = version.load("python", "instance_group { kind: KIND_CPU }")
    request = make_request({"to": np.array([3])})
    request.responder = Answers()

    assert instance.execute_each([request]) == [None]
    assert request.responder.sent == [[0], [1], [2], None]
