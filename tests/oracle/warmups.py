"""Warm-up: what instances are asked before clients are, by both servers.

What is refused is not compared: the real server does not outlive several loads that fail so.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from oracle.cases import Rest
from oracle.meant import Meant

# Tells what it was asked so far, batch by batch.
DIARY = """
import json
import numpy as np
import triton_python_backend_utils as pb_utils


def written(request):
    inputs = {}
    for tensor in request.inputs():
        array = tensor.as_numpy()
        inputs[tensor.name()] = [list(array.shape), str(array.dtype), array.astype(str).ravel().tolist()]
    return [inputs, request.request_id(), sorted(request.requested_output_names()), request.parameters()]


class TritonPythonModel:
    def initialize(self, args):
        self.batches = []

    def execute(self, requests):
        self.batches.append([written(request) for request in requests])
        answers = []
        for request in requests:
            array = pb_utils.get_input_tensor_by_name(request, "I").as_numpy()
            shape = (1, 1) if array.ndim > 1 else (1,)
            said = np.array([json.dumps(self.batches)], np.object_).reshape(shape)
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("SAID", said)]))
        return answers
"""

FILES = {
    "numbers": b"\0\0\x80\x3f\0\0\0\x40",
    "more": b"\0\0\x80\x3f\0\0\0\x40rest",
    "words": b"\x01\0\0\0a\x02\0\0\0bc",
}


def write_models(folder: Path) -> None:
    """Write a model for each configuration."""
    for name, config in _good().items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "1" / "model.py").write_text(DIARY)
        (folder / name / "config.pbtxt").write_text(config)
        (folder / name / "warmup").mkdir()
        for file, data in FILES.items():
            (folder / name / "warmup" / file).write_bytes(data)


def sample(data: str = "zero_data: true", of: str = "FP32 2", more: str = "batch_size: 1", name: str = "w") -> str:
    """Return a sample with one input."""
    data_type, _, dims = of.partition(" ")
    described = f"data_type: TYPE_{data_type} dims: [ {dims} ]" if dims else f"data_type: TYPE_{data_type}"
    value = f'inputs {{ key: "I" value {{ {described} {data} }} }}'
    return f'model_warmup {{ name: "{name}" {more} {value} }}'


def model(*samples: str, data_type: str = "FP32", dims: int = 2, batch: int = 8) -> str:
    """Return a configuration."""
    return (
        f'backend: "python" max_batch_size: {batch} instance_group {{ kind: KIND_CPU }} '
        f'input {{ name: "I" data_type: TYPE_{data_type} dims: [ {dims} ] }} '
        f'output {{ name: "SAID" data_type: TYPE_STRING dims: [ 1 ] }} {" ".join(samples)}'
    )


def _file(name: str) -> str:
    return f'input_data_file: "{name}"'


def _good() -> dict[str, str]:
    return {
        "nothing": model(),
        "zeros": model(sample()),
        "zeros_denied": model(sample("zero_data: false")),
        "file": model(sample(_file("numbers"))),
        "longer_file": model(sample(_file("more"))),
        "batch": model(sample(more="batch_size: 3")),
        "no_batch": model(sample(more="batch_size: 0")),
        "often": model(sample(more="batch_size: 2 count: 3")),
        "two": model(sample(name="a"), sample(_file("numbers"), name="b")),
        "nameless": model(sample(name="")),
        "flat": model(sample(), batch=0),
        "no_elements": model(sample(of="FP32 0"), dims=-1),
        "open_size": model(sample(of="FP32 3"), dims=-1),
        "empty_strings": model(sample(of="STRING 2"), data_type="STRING"),
        "random_strings": model(sample("random_data: true", of="STRING 2"), data_type="STRING"),
        "strings": model(sample(_file("words"), of="STRING 2"), data_type="STRING"),
        "more_inputs": model(sample().replace("inputs {", 'inputs { key: "J" value { data_type: TYPE_BOOL dims: 1 zero_data: true } } inputs {', 1)),
    }  # fmt: skip


def cases() -> list[Rest]:
    """Return every question."""
    return [one for name in _good() for one in _seen(name)]


def _seen(name: str) -> Iterator[Rest]:
    """Ask what was counted and what was seen."""
    yield Rest(f"{name}: counts", "GET", f"/v2/models/{name}/stats")
    data, kind = (["x", "y"], "BYTES") if "strings" in name else ([1, 2], "FP32")
    body = {"inputs": [{"name": "I", "datatype": kind, "shape": [2] if name == "flat" else [1, 2], "data": data}]}
    yield Rest(f"{name}: seen", "POST", f"/v2/models/{name}/infer", json.dumps(body).encode())


MEANT: dict[str, Meant] = {
    r"REST more_inputs: seen": Meant(
        "an input that the model does not declare is left out, and `windlass check` says so",
        lambda theirs, ours: theirs[0] == ours[0] == 200 and '"J"' in str(theirs) and '"J"' not in str(ours),
    ),
}
