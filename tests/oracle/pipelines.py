"""Ensembles: models that answer through other models, and what both servers make of them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from oracle.cases import Rest
from oracle.meant import Meant

ADD = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        def answer(request):
            array = pb_utils.get_input_tensor_by_name(request, "I").as_numpy()
            if (array == 13).any():
                return pb_utils.InferenceResponse(error=pb_utils.TritonError("thirteen"))
            if (array == 14).any():
                raise ValueError("fourteen")
            if (array == 15).any():
                return pb_utils.InferenceResponse([])
            if (array == 16).any():
                return pb_utils.InferenceResponse(error=pb_utils.TritonError("gone", pb_utils.TritonError.NOT_FOUND))
            return pb_utils.InferenceResponse([pb_utils.Tensor("O", array + 1)])

        return [answer(request) for request in requests]
"""

# What a step is told, as a text in the shape of its input.
TELL = """
import json
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            inputs = sorted(tensor.name() for tensor in request.inputs())
            rows = pb_utils.get_input_tensor_by_name(request, "I").as_numpy().shape[0]
            told = [inputs, sorted(request.requested_output_names()), request.request_id(), request.correlation_id(),
                    request.flags(), json.loads(request.parameters() or "{}"), request.timeout()]
            said = np.full((rows, 1), json.dumps(told), np.object_)
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("SAID", said)]))
        return answers
"""

UPPER = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            words = pb_utils.get_input_tensor_by_name(request, "I").as_numpy()
            upper = np.array([word.upper() for word in words.ravel()], np.object_).reshape(words.shape)
            sizes = np.array([len(word) for word in words.ravel()], np.float32).reshape(words.shape)
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("O", upper), pb_utils.Tensor("SIZE", sizes)]))
        return answers
"""

BATCHING = "max_batch_size: 8 dynamic_batching {}"


def tensors(kind: str, data_type: str = "FP32", **dims: str) -> str:
    """Return inputs or outputs by their names."""
    declared = (
        f'{kind} {{ name: "{name}" data_type: TYPE_{data_type} dims: [ {size} ] }}' for name, size in dims.items()
    )
    return " ".join(declared)


def step(model: str, inputs: dict[str, str], outputs: dict[str, str], version: int = -1) -> str:
    """Return one step of an ensemble."""
    read = " ".join(f'input_map {{ key: "{key}" value: "{value}" }}' for key, value in inputs.items())
    written = " ".join(f'output_map {{ key: "{key}" value: "{value}" }}' for key, value in outputs.items())
    return f'step {{ model_name: "{model}" model_version: {version} {read} {written} }}'


def ensemble(*steps: str, given: str = "", made: str = "", batch: int = 8) -> str:
    """Return the configuration of an ensemble; ``x`` goes in and ``y`` comes out unless something else is said."""
    given, made = given or tensors("input", x="-1"), made or tensors("output", y="-1")
    return f'platform: "ensemble" max_batch_size: {batch} {given} {made} ensemble_scheduling {{ {" ".join(steps)} }}'


_IO = tensors("input", I="-1") + tensors("output", O="-1")
_STRINGS = tensors("input", "STRING", I="-1") + tensors("output", "STRING", O="-1") + tensors("output", SIZE="-1")
_OPTIONAL = 'input { name: "MORE" data_type: TYPE_FP32 dims: [ -1 ] optional: true }'
_TOLD = tensors("input", I="-1") + tensors("output", "STRING", SAID="1")

MODELS = {
    "add": (ADD, f"{BATCHING} {_IO}"),
    "alone": (ADD, f"max_batch_size: 8 {_IO}"),
    "small": (ADD, f"max_batch_size: 2 {_IO}"),
    "flat": (ADD, _IO),
    "tell": (TELL, f"{BATCHING} {_TOLD} {_OPTIONAL}"),
    "upper": (UPPER, f"{BATCHING} {_STRINGS}"),
}

_FORK = tensors("output", y="-1", z="-1")
_SAID = tensors("output", "STRING", said="1")
_WORDS = {
    "given": tensors("input", "STRING", x="-1"),
    "made": tensors("output", "STRING", y="-1") + tensors("output", n="-1"),
}

ENSEMBLES = {
    "chain": ensemble(step("add", {"I": "x"}, {"O": "m"}), step("alone", {"I": "m"}, {"O": "y"})),
    "fork": ensemble(
        step("add", {"I": "x"}, {"O": "m"}), step("add", {"I": "m"}, {"O": "y"}), step("alone", {"I": "m"}, {"O": "z"}),
        made=_FORK,
    ),
    "middle": ensemble(step("add", {"I": "x"}, {"O": "y"}), step("add", {"I": "y"}, {"O": "z"}), made=_FORK),
    "outer": ensemble(step("chain", {"x": "x"}, {"y": "m"}), step("add", {"I": "m"}, {"O": "y"})),
    "outmost": ensemble(step("add", {"I": "x"}, {"O": "m"}), step("outer", {"x": "m"}, {"y": "y"})),
    "told": ensemble(step("tell", {"I": "x"}, {"SAID": "said"}), made=_SAID),
    "maybe": ensemble(
        step("tell", {"I": "x", "MORE": "more"}, {"SAID": "said"}), made=_SAID,
        given=tensors("input", x="-1") + _OPTIONAL.replace("MORE", "more"),
    ),
    "single": ensemble(step("add", {"I": "x"}, {"O": "y"})),
    "lenient": ensemble(
        step("add", {"I": "x"}, {"O": "m"}), step("tell", {"I": "x", "MORE": "m"}, {"SAID": "said"}), made=_SAID
    ),
    "half": ensemble(step("add", {"I": "x"}, {"O": "m"}), step("add", {"I": "x"}, {"O": "y"}), step("tell", {"I": "x", "MORE": "m"}, {"SAID": "said"}), made=_SAID+tensors("output", y="-1")),
    "flattened": ensemble(step("add", {"I": "x"}, {"O": "m"}), step("flat", {"I": "m"}, {"O": "y"}), batch=0),
    "words": ensemble(
        step("upper", {"I": "x"}, {"O": "m"}), step("upper", {"I": "m"}, {"O": "y", "SIZE": "s"}),
        step("add", {"I": "s"}, {"O": "n"}), **_WORDS,
    ),
    "five": ensemble(
        step("upper", {"I": "x"}, {"O": "a", "SIZE": "s"}), step("add", {"I": "s"}, {"O": "t"}),
        step("upper", {"I": "a"}, {"O": "y"}), step("alone", {"I": "t"}, {"O": "u"}), step("chain", {"x": "u"}, {"y": "n"}),
        **_WORDS,
    ),
}  # fmt: skip


def write_models(folder: Path) -> None:
    """Write the models of the steps, and the ensembles."""
    for name, (source, config) in MODELS.items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "1" / "model.py").write_text(source)
        (folder / name / "config.pbtxt").write_text(f'backend: "python" instance_group {{ kind: KIND_CPU }} {config}')
    for name, config in ENSEMBLES.items():
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(config)


def infer(name: str, model: str, data: Sequence[object], shape: Sequence[int] = (), **members: Any) -> Rest:
    """Return a request with the tensor ``x``, and others that are given as ``more``."""
    kind = "BYTES" if isinstance(data[0], str) else "FP32"
    given = {"name": "x", "datatype": kind, "shape": list(shape or (1, len(data))), "data": list(data)}
    body = {"inputs": [given, *members.pop("more", [])], **members}
    return Rest(f"{model}: {name}", "POST", f"/v2/models/{model}/infer", json.dumps(body).encode())


def cases() -> list[Rest]:
    """Return every question."""
    return [*_answers(), *_told(), *_faults(), *_counts(), *_repository()]


def _answers() -> Iterator[Rest]:
    for model in ("chain", "fork", "middle", "outer", "outmost"):
        yield infer("one row", model, [1, 2])
        yield infer("rows", model, [1, 2, 3, 4, 5, 6], (3, 2))
        yield infer("an id", model, [1], id="seven")
        yield infer("no elements", model, [0][:0] or [0], (1, 1))
    for wanted in (["y"], ["z"], ["z", "y"], ["m"]):
        yield infer(f"outputs {wanted}", "fork", [1], outputs=[{"name": name} for name in wanted])
        yield infer(f"outputs {wanted}", "middle", [1], outputs=[{"name": name} for name in wanted])
    yield infer("binary output", "chain", [1, 2], parameters={"binary_data_output": True})
    yield infer("without a batch", "flattened", [1, 2], (1, 2))
    for model in ("words", "five"):
        yield infer("strings", model, ["a", "bc", ""])
        yield infer("rows of strings", model, ["a", "bc", "d", "\u00e9"], (2, 2))
        yield infer("numbers only", model, ["a", "bc"], outputs=[{"name": "n"}])


def _told() -> Iterator[Rest]:
    more = {"name": "more", "datatype": "FP32", "shape": [1, 1], "data": [1]}
    for model in ("told", "maybe"):
        yield infer("nothing", model, [1])
        yield infer("an id", model, [1], id="seven")
        yield infer("parameters", model, [1], parameters={"a": 1, "b": "x", "c": True})
        yield infer("a timeout", model, [1], parameters={"timeout": 5_000_000})
        yield infer("a priority", model, [1], parameters={"priority": 2})
        yield infer("a sequence", model, [1], parameters={"sequence_id": 7, "sequence_start": True})
        yield infer("a sequence by name", model, [1], parameters={"sequence_id": "s", "sequence_end": True})
    yield infer("an optional input", "maybe", [1], more=[more])


def _faults() -> Iterator[Rest]:
    for model in ("chain", "fork", "outer", "outmost"):
        for first, what in (
            (13, "an error"),
            (12, "an error later"),
            (14, "an exception"),
            (15, "no output"),
            (16, "a code"),
        ):
            yield infer(f"{what}", model, [first])
            yield infer(f"{what}, with an id", model, [first], id="seven")
    for model in ("single", "lenient", "half"):
        yield infer("an output", model, [1])
        yield infer("no output", model, [15])
    yield infer("an exception in an output that is not asked for", "fork", [13], outputs=[{"name": "z"}])
    yield infer("too many rows", "chain", list(range(9)), (9, 1))
    yield infer("the wrong type", "chain", ["a"])
    yield infer("no batch", "chain", [1], (1,))
    yield infer("an unknown output", "chain", [1], outputs=[{"name": "nope"}])
    yield infer("two rows for a model without a batch", "flattened", [1, 2, 3, 4], (2, 2))
    yield Rest("chain: no inputs", "POST", "/v2/models/chain/infer", b'{"inputs":[]}')
    yield Rest("chain: generate", "POST", "/v2/models/chain/generate", b'{"x":[[1]]}')


def _repository() -> Iterator[Rest]:
    def ask(what: str, body: str = "{}") -> Rest:
        return Rest(f"{what} {body}".removesuffix(" {}"), "POST", f"/v2/repository/{what}", body.encode())

    for name in ENSEMBLES:
        yield Rest(f"metadata of {name}", "GET", f"/v2/models/{name}")
        yield Rest(f"{name} is ready", "GET", f"/v2/models/{name}/ready")
    yield Rest("the index", "POST", "/v2/repository/index")
    yield ask("models/outmost/unload")
    yield infer("unloaded", "outmost", [1])
    yield ask("models/outmost/load")
    yield infer("loaded again", "outmost", [1])
    yield ask("models/words/unload", '{"parameters":{"unload_dependents":true}}')
    yield infer("unloaded with its steps", "words", ["a"])
    yield ask("models/words/load")
    yield infer("loaded with its steps", "words", ["a"])


def _counts() -> Iterator[Rest]:
    for name in (
        "chain",
        "fork",
        "outer",
        "told",
        "five",
        "alone",
        "add",
        "single",
        "lenient",
        "half",
        "outmost",
        "tell",
        "upper",
    ):
        yield Rest(f"counts of {name}", "GET", f"/v2/models/{name}/stats")


def _by_name(answer: Any) -> Any:
    outputs = sorted(answer[1]["outputs"], key=lambda output: output["name"])
    return answer[0], {**answer[1], "outputs": outputs}


def _without_failures(answer: Any) -> Any:
    [stats] = answer[1]["model_stats"]
    return {**stats, "inference_stats": {**stats["inference_stats"], "fail": 0}}


MEANT: dict[str, Meant] = {
    r"REST middle: outputs \['[yz]'\]": Meant(
        "a part of the outputs may be asked for, whatever else the steps write", lambda theirs, ours: ours[0] == 200
    ),
    r"REST (fork|middle|words|five|half): .*": Meant(
        "outputs come in the order of the configuration; Triton's order is by chance",
        lambda theirs, ours: theirs[0] == ours[0] == 200 and _by_name(theirs) == _by_name(ours),
    ),
    r"REST counts of (chain|fork|outer|outmost)": Meant(
        "each request to an ensemble that fails counts once, not twice",
        lambda theirs, ours: _without_failures(theirs) == _without_failures(ours),
    ),
    r"REST counts of (add|alone)": Meant(
        "an answer that is an error counts as a failure; Triton counts it as a success",
        lambda theirs, ours: (
            theirs[1]["model_stats"][0]["inference_stats"]["fail"]
            < ours[1]["model_stats"][0]["inference_stats"]["fail"]
        ),
    ),
}
