"""The response cache: which questions are answered from it, and what is counted of that, under both servers."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from oracle.cases import Rest, Rpc
from oracle.meant import Meant
from oracle.pipelines import ensemble, step, tensors

OPTIONS = ["--cache-config=local,size=65536"]

# Tells with each answer how often it was asked; what the cache answers leaves no trace.
COUNT = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.count = 0

    def execute(self, requests):
        answers = []
        for request in requests:
            self.count += 1
            array = pb_utils.get_input_tensor_by_name(request, "I").as_numpy()
            if (array == 13).any():
                error = pb_utils.TritonError(f"thirteen, at question {self.count}")
                answers.append(pb_utils.InferenceResponse(error=error))
                continue
            size = 20000 if (array == 20000).any() else array.shape[1]
            made = [
                pb_utils.Tensor("O", np.resize(array, (array.shape[0], size))),
                pb_utils.Tensor("COUNT", np.full((array.shape[0], 1), self.count, np.float32)),
            ]
            answers.append(pb_utils.InferenceResponse(made))
        return answers
"""

_IO = tensors("input", I="-1") + tensors("output", O="-1", COUNT="1")
_KEPT = "response_cache { enable: true }"
_OUT = tensors("output", y="1")

MODELS = {
    "kept": f"max_batch_size: 8 dynamic_batching {{}} {_IO} {_KEPT}",
    "alone": f"max_batch_size: 8 {_IO} {_KEPT}",
    "shaped": f"max_batch_size: 8 {_IO} {_KEPT}",
    "part": f"max_batch_size: 8 {_IO} {_KEPT}",
    "failing": f"max_batch_size: 8 {_IO} {_KEPT}",
    "flat": f"{_IO.replace('dims: [ -1 ]', 'dims: [ -1, -1 ]').replace('dims: [ 1 ]', 'dims: [ 1, 1 ]')} {_KEPT}",
    "plain": f"max_batch_size: 8 {_IO}",
}
ENSEMBLES = {
    "of_kept": ensemble(step("kept", {"I": "x"}, {"COUNT": "y"}), made=_OUT),
    "kept_whole": ensemble(step("plain", {"I": "x"}, {"COUNT": "y"}), made=_OUT) + _KEPT,
}


def write_models(folder: Path) -> None:
    """Write the models, and ensembles of them."""
    for name, config in MODELS.items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "1" / "model.py").write_text(COUNT)
        (folder / name / "config.pbtxt").write_text(f'backend: "python" instance_group {{ kind: KIND_CPU }} {config}')
    for name, config in ENSEMBLES.items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(config)


def infer(name: str, model: str, *rows: list[float], tensor: str = "I", **members: Any) -> Rest:
    """Return a request over REST, in JSON."""
    data = [value for row in rows for value in row]
    given = {"name": tensor, "datatype": "FP32", "shape": [len(rows), len(rows[0])], "data": data}
    body = json.dumps({"inputs": [given], **members}).encode()
    return Rest(f"{model}: {name}", "POST", f"/v2/models/{model}/infer", body)


def counts(model: str) -> Rest:
    """Return a request for a model's statistics."""
    return Rest(f"counts of {model}", "GET", f"/v2/models/{model}/stats")


def cases() -> list[Rest | Rpc]:
    """Return every question; many are asked again and again."""
    return [*_same(), *_other(), *_failures(), *_ensembles(), *_full(), *map(counts, [*MODELS, *ENSEMBLES])]


def _same() -> Iterator[Rest | Rpc]:
    for model in ("kept", "alone", "flat", "plain"):
        yield infer("a question", model, [1, 2])
        yield infer("a question", model, [1, 2])
        yield infer("an id", model, [1, 2], id="seven")
        yield infer("parameters", model, [1, 2], parameters={"a": 1})
        yield infer("a priority", model, [1, 2], parameters={"priority": 3})
        yield infer("a timeout", model, [1, 2], parameters={"timeout": 1000})
        yield infer("a sequence", model, [1, 2], parameters={"sequence_id": 3, "sequence_start": True})
        yield _binary(model)
        yield _rpc(model)
        yield counts(model)


def _binary(model: str) -> Rest:
    data = struct.pack("<2f", 1, 2)
    given = {"name": "I", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [given]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return Rest(f"{model}: in binary", "POST", f"/v2/models/{model}/infer", head + data, headers)


def _rpc(model: str) -> Rpc:
    request = pb.ModelInferRequest(model_name=model)
    request.inputs.add(name="I", datatype="FP32", shape=[1, 2])
    request.raw_input_contents.append(struct.pack("<2f", 1, 2))
    return Rpc(f"{model}: over gRPC", "ModelInfer", request)


def _other() -> Iterator[Rest | Rpc]:
    for _ in range(2):
        yield infer("other numbers", "kept", [2, 1])
        yield infer("more rows", "kept", [1, 2], [1, 2])
        yield infer("one row", "shaped", [1, 2])
        yield infer("two rows", "shaped", [1], [2])
        yield infer("the same elsewhere", "alone", [2, 1])
    for wanted in (["COUNT"], ["O"], ["O", "COUNT"], ["COUNT", "O"], ["COUNT"]):
        yield infer(f"outputs {wanted}", "part", [3, 3], outputs=[{"name": name} for name in wanted])
    yield infer("an unknown output", "kept", [1, 2], outputs=[{"name": "nope"}])
    yield infer("too many rows", "kept", *[[1.0]] * 9)


def _failures() -> Iterator[Rest | Rpc]:
    for _ in range(3):
        yield infer("a failure", "failing", [13])


def _ensembles() -> Iterator[Rest | Rpc]:
    for model in ENSEMBLES:
        for _ in range(3):
            yield infer("a question", model, [4, 4], tensor="x")
        yield infer("an id", model, [4, 4], tensor="x", id="seven")
        yield infer("another", model, [5, 4], tensor="x")
        yield counts(model)


def _full() -> Iterator[Rest | Rpc]:
    """An answer that is larger than the cache, and what was there before."""
    yield infer("a large answer", "alone", [20000], outputs=[{"name": "COUNT"}])
    yield infer("a large answer, whole", "flat", [20000])
    yield infer("a large answer, whole", "flat", [20000])
    yield infer("after a large answer", "flat", [1, 2])


def _one_question(theirs: Any, ours: Any) -> bool:
    """Whether the real server took two questions for one: it was asked less than windlass."""
    [their], [our] = theirs[1]["model_stats"], ours[1]["model_stats"]
    return their["inference_stats"]["cache_miss"] < our["inference_stats"]["cache_miss"]


MEANT: dict[str, Meant] = {
    r"REST shaped: two rows.*": Meant(
        "a tensor of another shape is another question; Triton answers the one before",
        lambda theirs, ours: theirs[1]["outputs"][0]["shape"] == [1, 2] and ours[1]["outputs"][0]["shape"] == [2, 1],
    ),
    r"REST part: outputs .*": Meant(
        "who asks for other outputs gets them; Triton answers with those that were asked for first",
        lambda theirs, ours: [output["name"] for output in theirs[1]["outputs"]] == ["COUNT"],
    ),
    r"REST failing: a failure \(again .*": Meant(
        "a failure is not kept; Triton answers without outputs the next time",
        lambda theirs, ours: theirs[1]["outputs"] == [] and ours[0] == 500,
    ),
    r"REST counts of (shaped|part|failing)": Meant("what was asked of the model is what is counted", _one_question),
}
