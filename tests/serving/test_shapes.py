"""Tensors that models see in other shapes than clients: ``reshape`` and ragged batches, in every backend."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from support import models
from windlass import Client

# Answers with the shape that it sees, in as many elements as it was given.
SHAPE = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            seen = np.resize(np.array(x.shape, np.float32), x.shape)
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", seen)]))
        return answers
"""

RESHAPED = """
backend: "python" max_batch_size: 8 dynamic_batching {}
input { name: "x" data_type: TYPE_FP32 dims: [ 4, -1 ] reshape { shape: [ 2, 2, -1 ] } }
output { name: "y" data_type: TYPE_FP32 dims: [ 4, -1 ] reshape { shape: [ 2, 2, -1 ] } }
"""

# Tells how many elements lie before each request's in a batch, in its own shape.
RAGGED_FUNCTION = """
import numpy as np
import windlass


@windlass.model
def measured(x, offsets, counts, shapes):
    return {"y": np.repeat(offsets[:-1], counts.astype(int)), "rows": shapes}
"""

RAGGED = """
max_batch_size: 8
dynamic_batching { preferred_batch_size: 4 max_queue_delay_microseconds: 2000000 }
input { name: "x" data_type: TYPE_FP32 dims: [ -1 ] allow_ragged_batch: true }
output { name: "y" data_type: TYPE_FP32 dims: [ -1 ] }
batch_output { target_name: "y" kind: BATCH_SCATTER_WITH_INPUT_SHAPE source_input: "x" }
"""


def kept_at(isolated: bool) -> str:
    return "" if isolated else 'parameters { key: "isolated" value { string_value: "false" } }'


def ask_together(server: object, model: str, shapes: list[tuple[int, ...]]) -> list[dict[str, np.ndarray]]:
    def ask(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        with Client(server.addresses["http"]) as client:  # type: ignore[attr-defined]
            return client.infer(model, {"x": np.ones(shape, np.float32)})

    with ThreadPoolExecutor(len(shapes)) as pool:
        return list(pool.map(ask, shapes))


@pytest.mark.parametrize("isolated", [True, False])
def test_a_python_model_sees_the_shape_that_it_wants(isolated, repository, serve):
    repository.add("m", SHAPE, RESHAPED + kept_at(isolated))
    with Client(serve().addresses["http"]) as client:
        answer = client.infer("m", {"x": np.ones((2, 4, 3), np.float32)})["y"]

        assert answer.shape == (2, 4, 3)
        assert answer.ravel()[:4].tolist() == [2, 2, 2, 3]


def test_an_empty_reshape_leaves_the_batch_alone(repository, serve):
    tensor = "data_type: TYPE_FP32 dims: 1 reshape {} }"
    config = f'backend: "python" max_batch_size: 8 input {{ name: "x" {tensor} output {{ name: "y" {tensor}'
    repository.add("m", SHAPE, config)
    repository.add("f", "import windlass\n\n\n@windlass.model\ndef f(x):\n    return {'y': x + x.ndim}\n", config)
    with Client(serve().addresses["http"]) as client:
        asked = {"x": np.full((3, 1), 5, np.float32)}
        assert client.infer("m", asked)["y"].tolist() == [[3], [3], [3]]
        assert client.infer("f", asked)["y"].tolist() == [[6], [6], [6]]


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", "pytorch"])
def test_a_file_is_given_the_shape_that_it_wants(backend, repository, serve):
    make, name, tensors = {
        "onnxruntime": (models.make_onnx_identity, "model.onnx", ("x", "y")),
        "openvino": (models.make_openvino_identity, "model.xml", ("x", "y")),
        "pytorch": (models.make_torchscript_identity, "model.pt", ("x", "y__0")),
    }[backend]
    shape = {} if backend == "pytorch" else {"shape": ("N", 2, 2)}
    make(repository.path / "m" / "1" / name, **shape)
    given, taken = tensors
    (repository.path / "m" / "config.pbtxt").write_text(
        f'backend: "{backend}" max_batch_size: 8 '
        f'input {{ name: "{given}" data_type: TYPE_FP32 dims: 4 reshape {{ shape: [ 2, 2 ] }} }} '
        f'output {{ name: "{taken}" data_type: TYPE_FP32 dims: 4 reshape {{ shape: [ 2, 2 ] }} }}'
    )
    with Client(serve().addresses["http"]) as client:
        asked = np.arange(12, dtype=np.float32).reshape(3, 4)

        assert client.metadata("m")["inputs"][0]["shape"] == [-1, 4]
        assert client.infer("m", {given: asked})[taken].tolist() == asked.tolist()


@pytest.mark.parametrize("isolated", [True, False])
def test_ragged_requests_share_a_batch_of_a_function(isolated, repository, serve):
    made = "".join(
        f'batch_input {{ kind: {kind} target_name: "{name}" data_type: TYPE_FP32 source_input: "x" }}\n'
        for kind, name in (
            ("BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO", "offsets"),
            ("BATCH_ELEMENT_COUNT", "counts"),
            ("BATCH_ITEM_SHAPE", "shapes"),
        )
    )
    rows = 'output { name: "rows" data_type: TYPE_FP32 dims: 1 }'
    repository.add("m", RAGGED_FUNCTION, f'backend: "python" {RAGGED} {made} {rows} {kept_at(isolated)}')
    server = serve()

    answers = ask_together(server, "m", [(1, 3), (1, 1), (2, 2)])

    assert [answer["y"].shape for answer in answers] == [(1, 3), (1, 1), (2, 2)]
    assert [answer["rows"].tolist() for answer in answers] == [[[3]], [[1]], [[2], [2]]]
    # Whatever order they came in, all lie behind one another.
    starts = sorted((answer["y"].ravel()[0], answer["y"].size) for answer in answers)
    assert [start for start, _ in starts] == [0, starts[0][1], starts[0][1] + starts[1][1]]
    with Client(server.addresses["http"]) as client:
        assert client.statistics("m")[0]["execution_count"] == 1


@pytest.mark.parametrize("backend", ["onnxruntime", "pytorch"])
def test_ragged_requests_share_a_batch_of_a_file(backend, repository, serve):
    make, name = {
        "onnxruntime": (models.make_onnx_ragged, "model.onnx"),
        "pytorch": (models.make_torchscript_ragged, "model.pt"),
    }[backend]
    make(repository.path / "m" / "1" / name)
    (repository.path / "m" / "config.pbtxt").write_text(
        f'backend: "{backend}" {RAGGED} '
        'batch_input { kind: BATCH_ITEM_SHAPE target_name: "shapes" data_type: TYPE_INT32 source_input: "x" } '
        'output { name: "sizes" data_type: TYPE_INT32 dims: 1 }'
    )

    answers = ask_together(serve(), "m", [(1, 3), (1, 1), (2, 2)])

    assert [answer["y"].tolist() for answer in answers] == [[[2, 2, 2]], [[2]], [[2, 2], [2, 2]]]
    assert [answer["sizes"].tolist() for answer in answers] == [[[3]], [[1]], [[2], [2]]]


@pytest.mark.parametrize("isolated", [True, False])
def test_requests_that_leave_out_other_inputs_share_no_batch(isolated, repository, serve):
    tensor = "data_type: TYPE_FP32 dims: 1"
    repository.add(
        "m",
        "import windlass\n\n\n@windlass.model\ndef m(x, y=None):\n    return x if y is None else 100 * x + y\n",
        f'backend: "python" max_batch_size: 8 dynamic_batching {{ max_queue_delay_microseconds: 50000 }} '
        f'input {{ name: "x" {tensor} }} input {{ name: "y" {tensor} optional: true }} '
        f'output {{ name: "output" {tensor} }} {kept_at(isolated)}',
    )
    server = serve()

    def ask(number: int) -> float:
        value = np.full((1, 1), number, np.float32)
        with Client(server.addresses["http"]) as client:
            return client.infer("m", {"x": value, "y": value} if number % 2 else {"x": value})["output"].item()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == [0, 101, 2, 303, 4, 505]


def test_a_python_model_gets_ragged_requests_as_they_came(repository, serve):
    repository.add("m", SHAPE, f'backend: "python" {RAGGED.split("batch_output")[0]}')

    answers = ask_together(serve(), "m", [(1, 3), (1, 2), (2, 2)])

    assert [answer["y"].ravel()[:2].tolist() for answer in answers] == [[1, 3], [1, 2], [2, 2]]
