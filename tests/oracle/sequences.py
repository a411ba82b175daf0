"""Models with sequences and with priorities, and what both servers are asked of them: what a model sees of each request, and what it never sees."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from oracle.cases import Rest, Rpc
from oracle.meant import Meant
from oracle.suite import Together

# Says what it sees of a request, and adds up what its sequence sends.
SEES = """
import json

import numpy as np
import triton_python_backend_utils as pb_utils


def seen(tensor):
    array = tensor.as_numpy()
    values = [x.decode() if isinstance(x, bytes) else x for x in array.ravel().tolist()]
    return [tensor.name(), array.dtype.name, list(tensor.shape()), values]


class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        number = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy().ravel().tolist()[0]
        key = request.correlation_id()
        self.sums[key] = number + (0 if request.flags() & 1 else self.sums.get(key, 0))
        said = [sorted(map(seen, request.inputs())), key, request.flags(), self.sums[key]]
        text = np.array([json.dumps(said)], dtype=object).reshape(SHAPE)
        return pb_utils.InferenceResponse([pb_utils.Tensor("SAID", text)])
"""

# Executes a request as often as it says.
REPEATS = """
import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.seen = {}

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        seen = self.seen.setdefault(request.request_id(), [])
        tensors = {tensor.name(): tensor.as_numpy().ravel().tolist()[0] for tensor in request.inputs()}
        seen.append([tensors["START"], request.flags()])
        if len(seen) < tensors["INPUT0"]:
            request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
            return None
        text = np.array([json.dumps(self.seen.pop(request.request_id()))], dtype=object).reshape(1, 1)
        return pb_utils.InferenceResponse([pb_utils.Tensor("SAID", text)])
"""


def _control(name: str, kind: str, values: str) -> str:
    return f'control_input {{ name: "{name}" control {{ kind: CONTROL_SEQUENCE_{kind} {values} }} }} '


_SIGNALS = (
    _control("START", "START", "int32_false_true: [ 0, 1 ]")
    + _control("END", "END", "fp32_false_true: [ -1, 2 ]")
    + _control("READY", "READY", "bool_false_true: [ false, true ]")
)
_LONG = "max_sequence_idle_microseconds: 60000000 "


def _id(data_type: str) -> str:
    return _control("CORRID", "CORRID", f"data_type: {data_type}")


_STATES = """
state { input_name: "ZEROS" output_name: "Z" data_type: TYPE_INT32 dims: [ 2 ] }
state { input_name: "OPEN" output_name: "O" data_type: TYPE_FP32 dims: [ -1 ] }
state { input_name: "TEXT" output_name: "T" data_type: TYPE_STRING dims: [ 1 ] }
state {
  input_name: "TOLD" output_name: "D" data_type: TYPE_FP32 dims: [ 2 ]
  initial_state { name: "zeros" data_type: TYPE_FP32 dims: [ 2 ] zero_data: true }
}
state {
  input_name: "FILE" output_name: "F" data_type: TYPE_FP32 dims: [ -1 ]
  initial_state { name: "file" data_type: TYPE_FP32 dims: [ 2 ] data_file: "two" }
}
"""
_POLICY = "{ timeout_action: REJECT default_timeout_microseconds: 60000000 allow_timeout_override: true }"

MODELS = {
    "oldest": f"sequence_batching {{ {_LONG} oldest {{ max_candidate_sequences: 4 }} {_SIGNALS}{_id('TYPE_UINT64')} }}",
    "direct": f"sequence_batching {{ {_LONG} direct {{}} {_SIGNALS}{_id('TYPE_UINT64')} }}",
    "plain": f"sequence_batching {{ {_LONG} }}",
    "int32": f"sequence_batching {{ {_LONG} {_id('TYPE_INT32')} }}",
    "int64": f"sequence_batching {{ {_LONG} {_id('TYPE_INT64')} }}",
    "text": f"sequence_batching {{ {_LONG} oldest {{ max_candidate_sequences: 4 }} {_id('TYPE_STRING')} }}",
    "states": f"sequence_batching {{ {_LONG} {_STATES} }}",
    "single": f"sequence_batching {{ {_LONG} direct {{}} {_SIGNALS}{_id('TYPE_UINT64')} }}",
    "repeats": f"sequence_batching {{ {_LONG} {_SIGNALS} iterative_sequence: true }}",
    "ranked": f"dynamic_batching {{ priority_levels: 2 default_priority_level: 2 default_queue_policy {_POLICY} }}",
    "unranked": "dynamic_batching {}",
    "unbatched": "",
}


def write_models(folder: Path) -> None:
    """Write the models of ``MODELS``."""
    for name, scheduling in MODELS.items():
        batch = 0 if name == "single" else 4
        (folder / name / "1").mkdir(parents=True)
        source = REPEATS if name == "repeats" else SEES.replace("SHAPE", "1" if batch == 0 else "1, 1")
        (folder / name / "1" / "model.py").write_text(source)
        (folder / name / "config.pbtxt").write_text(
            f'backend: "python" max_batch_size: {batch} instance_group {{ kind: KIND_CPU }} {scheduling} '
            'input { name: "INPUT0" data_type: TYPE_FP32 dims: [ 1 ] } '
            'output { name: "SAID" data_type: TYPE_STRING dims: [ 1 ] }'
        )
    (folder / "states" / "initial_state").mkdir()
    (folder / "states" / "initial_state" / "two").write_bytes(struct.pack("<2f", 1.5, -2))


def _ask(name: str, model: str, number: float = 1, rows: int = 1, **parameters: object) -> Rest:
    shape = [1] if model == "single" else [rows, 1]
    tensor = {"name": "INPUT0", "shape": shape, "datatype": "FP32", "data": [number] * rows}
    body = {"id": parameters.pop("request", ""), "inputs": [tensor], "parameters": parameters}
    return Rest(name, "POST", f"/v2/models/{model}/infer", json.dumps(body).encode())


def _call(name: str, model: str, number: float = 1, **parameters: pb.InferParameter) -> Rpc:
    request = pb.ModelInferRequest(model_name=model, id="r")
    request.inputs.add(name="INPUT0", datatype="FP32", shape=[1, 1])
    request.raw_input_contents.append(struct.pack("<f", number))
    for key, value in parameters.items():
        request.parameters[key].CopyFrom(value)
    return Rpc(name, "ModelInfer", request)


def cases() -> list[Rest | Rpc | Together]:
    """Return every question, in the order in which they make sense."""
    return [*_lives(), *_ids(), *_faults(), *_together(), *_repeats(), *_rpc(), *_policies(), *_counts()]


def _lives() -> Iterator[Rest]:
    for model in ("oldest", "direct", "plain", "states"):
        yield _ask(f"{model}: first", model, sequence_id=5, sequence_start=True)
        yield _ask(f"{model}: another", model, 10, sequence_id=6, sequence_start=True)
        yield _ask(f"{model}: second", model, 2, sequence_id=5)
        yield _ask(f"{model}: anew", model, 20, sequence_id=6, sequence_start=True)
        yield _ask(f"{model}: last", model, 3, sequence_id=5, sequence_end=True)
        yield _ask(f"{model}: after the last", model, 4, sequence_id=5)
        yield _ask(f"{model}: anew again", model, 4, sequence_id=5, sequence_start=True)
        yield _ask(f"{model}: ends", model, 4, sequence_id=5, sequence_end=True)
        yield _ask(f"{model}: ends too", model, 4, sequence_id=6, sequence_end=True)
        yield _ask(f"{model}: alone", model, 7, sequence_id=7, sequence_start=True, sequence_end=True)
    # It has one slot.
    yield _ask("single: first", "single", sequence_id=5, sequence_start=True)
    yield _ask("single: last", "single", 2, sequence_id=5, sequence_end=True)
    yield _ask("single: alone", "single", 7, sequence_id=7, sequence_start=True, sequence_end=True)


def _ids() -> Iterator[Rest]:
    numbers = [1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 + 7, 2**63 - 1, 2**63, 2**64 - 1]
    both = {"sequence_start": True, "sequence_end": True}
    for model in ("oldest", "int32", "int64"):
        for number in numbers:
            yield _ask(f"{model}: id {number}", model, sequence_id=number, **both)
    for text in ("a", "ü", "7", "x" * 128, " "):
        yield _ask(f"text: id {text}", "text", sequence_id=text, **both)
    yield _ask("text: a sequence", "text", 1, sequence_id="s", sequence_start=True)
    yield _ask("text: a sequence goes on", "text", 2, sequence_id="s", sequence_end=True)
    yield _ask("plain: id of text", "plain", sequence_id="s", **both)


def _faults() -> Iterator[Rest]:
    both = {"sequence_start": True, "sequence_end": True}
    for model in ("oldest", "direct", "text", "plain", "single"):
        yield _ask(f"{model}: no id", model)
        yield _ask(f"{model}: no id, with a request id", model, request="r")
        yield _ask(f"{model}: a start without an id", model, sequence_start=True)
        yield _ask(f"{model}: id 0", model, sequence_id=0, **both)
        yield _ask(f"{model}: id empty", model, sequence_id="", **both)
        yield _ask(f"{model}: no start", model, sequence_id=77, request="r")
        yield _ask(f"{model}: no start but an end", model, sequence_id=78, sequence_end=True)
        yield _ask(f"{model}: no start of a text", model, sequence_id="seven")
        yield _ask(f"{model}: id too long", model, sequence_id="x" * 129, **both)
        yield _ask(f"{model}: id negative", model, sequence_id=-1, **both)
        yield _ask(f"{model}: id of a fraction", model, sequence_id=1.5, **both)
        yield _ask(f"{model}: id too large", model, sequence_id=2**64, **both)
        yield _ask(f"{model}: id true", model, sequence_id=True, **both)
        yield _ask(f"{model}: id null", model, sequence_id=None, **both)
        yield _ask(f"{model}: start is a number", model, sequence_id=8, sequence_start=1)
        yield _ask(f"{model}: end is a text", model, sequence_id=8, sequence_end="true")
        if model != "single":
            yield _ask(f"{model}: two rows", model, rows=2, sequence_id=9, **both)
            yield _ask(f"{model}: five rows", model, rows=5, sequence_id=9, **both)
    yield _ask("text: id of a number", "text", sequence_id=9, request="r", **both)
    yield _ask("oldest: id of a text", "oldest", sequence_id="nine", request="r", **both)
    yield Rest(
        "oldest: the server's own input",
        "POST",
        "/v2/models/oldest/infer",
        json.dumps(
            {
                "parameters": {"sequence_id": 9, **both},
                "inputs": [
                    {"name": "INPUT0", "shape": [1, 1], "datatype": "FP32", "data": [1]},
                    {"name": "START", "shape": [1, 1], "datatype": "INT32", "data": [0]},
                ],
            }
        ).encode(),
    )
    for model in ("oldest", "states", "repeats", "ranked"):
        for path in ("", "/config"):
            yield Rest(f"{model}{path}", "GET", f"/v2/models/{model}{path}")


def _together() -> Iterator[Together]:
    """More sequences than there are slots, each started, gone on with and ended with all the others."""
    flags: list[dict[str, object]] = [{"sequence_start": True}, {}, {"sequence_end": True}]
    for model in ("oldest", "direct", "plain"):
        for step, flag in enumerate(flags):
            numbers = range(200, 204)
            asked = [_ask("", model, number, sequence_id=number, **flag) for number in numbers]
            yield Together(f"{model}: step {step}", asked)
        both = {"sequence_start": True, "sequence_end": True}
        yield Together(f"{model}: many", [_ask("", model, n, sequence_id=n, **both) for n in range(300, 312)])


def _repeats() -> Iterator[Rest | Together]:
    yield _ask("repeats: once", "repeats", 1, request="a")
    yield _ask("repeats: thrice", "repeats", 3, request="b")
    yield _ask("repeats: with an id and a start", "repeats", 2, request="c", sequence_id=5, sequence_start=True)
    yield _ask("repeats: with an id and no start", "repeats", 2, request="e", sequence_id=7)
    yield _ask("repeats: two rows", "repeats", 2, rows=2, request="f")
    yield Together("repeats: many", [_ask("", "repeats", n % 4 + 1, request=f"m{n}") for n in range(9)])


def _rpc() -> Iterator[Rpc]:
    def number(value: int) -> pb.InferParameter:
        return pb.InferParameter(int64_param=value)

    text = pb.InferParameter(string_param="seven")
    yes, no = pb.InferParameter(bool_param=True), pb.InferParameter(bool_param=False)
    both = {"sequence_start": yes, "sequence_end": yes}
    for model in ("oldest", "text"):
        yield _call(f"{model}: first", model, sequence_id=number(50), sequence_start=yes)
        yield _call(f"{model}: goes on", model, sequence_id=number(50), sequence_start=no, sequence_end=yes)
        yield _call(f"{model}: text", model, sequence_id=text, **both)
        yield _call(f"{model}: no id", model)
        yield _call(f"{model}: no start", model, sequence_id=number(51))
        yield _call(f"{model}: id 0", model, sequence_id=number(0), **both)
        yield _call(f"{model}: id negative", model, sequence_id=number(-1), **both)
        yield _call(f"{model}: id empty", model, sequence_id=pb.InferParameter(string_param=""), **both)
        yield _call(f"{model}: id unsigned", model, sequence_id=pb.InferParameter(uint64_param=5), **both)
        yield _call(f"{model}: id true", model, sequence_id=yes, **both)
        yield _call(f"{model}: id of a fraction", model, sequence_id=pb.InferParameter(double_param=5), **both)
        yield _call(f"{model}: id of nothing", model, sequence_id=pb.InferParameter(), **both)
        yield _call(f"{model}: start is a number", model, sequence_id=number(5), sequence_start=number(1))
        yield _call(f"{model}: end is a text", model, sequence_id=number(5), sequence_end=text)
        yield _call(f"{model}: id too long", model, sequence_id=pb.InferParameter(string_param="x" * 129), **both)


def _policies() -> Iterator[Rest | Rpc]:
    values: dict[str, Any] = {
        "0": 0, "1": 1, "2": 2, "3": 3, "large": 2**40, "-1": -1, "a fraction": 1.5, "a text": "1", "true": True,
        "null": None, "too large": 2**64,
    }  # fmt: skip
    for model in ("ranked", "unranked", "unbatched", "oldest"):
        sequence = {"sequence_id": 90, "sequence_start": True, "sequence_end": True} if model == "oldest" else {}
        for name, value in values.items():
            yield _ask(f"{model}: priority {name}", model, priority=value, **sequence)
            timeout = value * 10**6 if isinstance(value, int) and 0 < value < 4 and value is not True else value
            yield _ask(f"{model}: timeout {name}", model, timeout=timeout, **sequence)
    for key in ("priority", "timeout"):
        parameters = {
            "signed": pb.InferParameter(int64_param=1000000),
            "negative": pb.InferParameter(int64_param=-1),
            "unsigned": pb.InferParameter(uint64_param=1000000),
            "a text": pb.InferParameter(string_param="1"),
            "true": pb.InferParameter(bool_param=True),
            "a fraction": pb.InferParameter(double_param=1),
        }
        for name, value in parameters.items():
            yield _call(f"ranked: {key} {name}", "ranked", **{key: value})


def _counts() -> Iterator[Rest]:
    for model in ("single", "states", "ranked"):
        yield Rest(f"{model}: statistics", "GET", f"/v2/models/{model}/stats")


def _same_text(theirs: Any, ours: Any) -> bool:
    return theirs[0] in (500, 501, "UNIMPLEMENTED") and ours[0] in (400, "INVALID_ARGUMENT") and theirs[1] == ours[1]


def _kind_refused(_: Any, ours: Any) -> bool:
    return ours[0] in (400, "INVALID_ARGUMENT") and "sequence batching control 'CORRID' data-type is" in str(ours[1])


def _text_told(theirs: Any, ours: Any) -> bool:
    return "unexpected number of string elements 2" in str(theirs[1]) and ours[0] in (200, "OK")


def _states_are_told(theirs: Any, ours: Any) -> bool:
    """Whether the two agree but for the values that the installed server takes from wherever."""
    told = [json.loads(answer[1]["outputs"][0]["data"][0]) for answer in (theirs, ours)]
    seen = [{name: rest for name, *rest in answer[0]} for answer in told]
    certain = ({"INPUT0", "TEXT", "TOLD"} <= seen[1].keys()) and seen[0].keys() == seen[1].keys()
    same = all(seen[0][name] == seen[1][name] for name in ("INPUT0", "TEXT", "TOLD"))
    made = [["float32", [1, 2], [1.5, -2]], ["float32", [1, 1], [0]], ["int32", [1, 2], [0, 0]]]
    return certain and same and told[0][1:] == told[1][1:] and [seen[1][n] for n in ("FILE", "OPEN", "ZEROS")] == made


MEANT = {
    r"REST .*: (id (negative|of a fraction|too large|true|null)|start is a number|end is a text|"
    r"(priority|timeout) (-1|a fraction|a text|true|null|too large))": Meant(
        "a fault in JSON is the client's: 400 with the same text, where Triton answers 500", _same_text
    ),
    r".*: id too long": Meant("an id that is too long is the client's mistake: 400, the same text", _same_text),
    r"REST states: (first|another|second|anew|last|anew again|ends|ends too|alone)": Meant(
        "a state without a first value is zero, and one from a file has the dimensions told with it; the installed server "
        "takes the first from wherever its memory was, and cuts the second to one element",
        _states_are_told,
    ),
    r"REST text: (id (a|ü|7| )|a sequence( goes on)?)|gRPC text: text": Meant(
        "the installed server cannot tell a Python model an id that is a text", _text_told
    ),
    r"REST (text: id of a number|oldest: id of a text)|gRPC (oldest: text|text: (first|id negative))": Meant(
        "an id of another kind than the model is told is refused, as in newer servers, not taken for another id",
        _kind_refused,
    ),
    r"gRPC text: goes on": Meant(
        "the sequence was refused when it began", lambda _, ours: "must specify the START flag" in ours[1]
    ),
    r"REST oldest: the server's own input": Meant(
        "inputs are listed as they came, and an empty list is `[]`",
        lambda theirs, ours: theirs[0] == ours[0] == 400 and "expected 1 inputs but got 2" in str(ours[1]),
    ),
}
