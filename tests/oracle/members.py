"""What is asked about what stands in a request: outputs, contents of messages, parameters, and how it is packed."""

import gzip
import json
import re
import struct
import zlib
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2 as pb

from oracle.cases import Rest, Rpc, infer, message, raw, tensor
from oracle.meant import Meant


def cases() -> list[Rest | Rpc]:
    """Return every question about what stands in a request."""
    return [*_required(), *_packed(), *_contents(), *_parameters()]


def _output(**parameters: object) -> list[dict[str, Any]]:
    return [{"name": "OUTPUT0", "parameters": parameters}]


def _required() -> list[Rest]:
    first = tensor([1.0], shape=[1, 1])
    return [
        infer("required: one left out", first, model="required"),
        infer("required: one left out, with an id", first, model="required", id="seven"),
        infer("required: of another batch", first, tensor([1.0, 2.0], name="A", shape=[2, 1]), model="required"),
        infer("required: twice", first, first, model="required"),
        infer("outputs twice", first, model="required", outputs=[{"name": "OUTPUT0"}, {"name": "OUTPUT0"}]),
        infer("output without a name", first, model="required", outputs=[{}]),
        infer("outputs are an object", first, model="required", outputs={}),
    ]


def _packed() -> list[Rest]:
    body = json.dumps({"inputs": [tensor()]}).encode()
    ways = {"gzip": gzip.compress(body), "deflate": zlib.compress(body), "identity": body, "": body}
    wrong = {"gzip": body, "deflate": body, "br": body, "gzip, deflate": gzip.compress(body)}
    return [
        *[raw(f"packed as '{way}'", packed, "echo", {"Content-Encoding": way}) for way, packed in ways.items()],
        *[raw(f"not packed as '{way}'", packed, "echo", {"Content-Encoding": way}) for way, packed in wrong.items()],
        raw("packed cut", ways["gzip"][:-6], "echo", {"Content-Encoding": "gzip"}),
        raw("packed and more", ways["gzip"] + b"xx", "echo", {"Content-Encoding": "gzip"}),
    ]


def _contents() -> list[Rpc]:
    """Contents in messages: of each kind, of two kinds, of none."""
    found = []
    for model, field, values in (
        ("string", "bytes_contents", [b"a", b""]),
        ("fp16", "fp32_contents", [1.0, 2.0]),
        ("bool", "int_contents", [1, 0]),
        ("int32", "int64_contents", [1, 2]),
        ("uint8", "uint_contents", [1, 256]),
        ("fp64", "fp32_contents", [1.0, 2.0]),
    ):
        name = {"string": "BYTES"}.get(model, model.upper())
        request = message(model=model, given={"datatype": name}, data=[])
        getattr(request.inputs[0].contents, field).extend(values)
        found.append(Rpc(f"contents: {field} for {name}", "ModelInfer", request))
    both = message(model="echo", data=[])
    both.inputs[0].contents.fp32_contents.extend([1, 2])
    both.inputs[0].contents.int_contents.extend([1, 2])
    many = message(model="echo", data=[])
    many.inputs[0].contents.fp32_contents.extend([1, 2, 3])
    text = np.array([1, 97, 0, 0], np.uint8).tobytes()
    cut = message(model="string", given={"datatype": "BYTES"}, data=[text[:3]])
    lies = message(model="string", given={"datatype": "BYTES"}, data=[struct.pack("<I", 9) + b"a"])
    named = message(model="echo")
    named.outputs.add(name="OUTPUT0")
    twice = message(model="echo")
    for _ in range(2):
        twice.outputs.add(name="OUTPUT0")
    unknown = message(model="echo")
    unknown.outputs.add(name="OTHER")
    few = message(model="required")
    none = pb.ModelInferRequest(model_name="required", id="seven")
    others = {
        "two kinds": both, "too many": many, "text cut": cut, "text that lies": lies, "a named output": named,
        "an output twice": twice, "an unknown output": unknown, "one of two": few, "none of two": none,
    }  # fmt: skip
    return [*found, *[Rpc(f"contents: {name}", "ModelInfer", request) for name, request in others.items()]]


_PARAMETERS: dict[str, list[pb.InferParameter]] = {
    key: [
        pb.InferParameter(int64_param=1),
        pb.InferParameter(int64_param=-1),
        pb.InferParameter(uint64_param=1),
        pb.InferParameter(bool_param=True),
        pb.InferParameter(string_param="1"),
        pb.InferParameter(double_param=1.5),
        pb.InferParameter(),
    ]
    for key in (
        "priority",
        "timeout",
        "sequence_start",
        "sequence_end",
        "sequence_id",
        "other",
        "triton_enable_empty_final_response",
    )
}


def _parameters() -> list[Rest | Rpc]:
    found: list[Rest | Rpc] = []
    for key, parameters in _PARAMETERS.items():
        for parameter in parameters:
            request = message(model="echo")
            request.parameters[key].CopyFrom(parameter)
            kind = parameter.WhichOneof("parameter_choice")
            value = getattr(parameter, kind) if kind else ""
            found.append(Rpc(f"parameter {key} {kind} {value}", "ModelInfer", request))
    values: list[Any] = [1, -1, 2**63, 2**64 - 1, 2**64, 1.5, True, "1", "", None, [1], {"a": 1}]
    for key in _PARAMETERS:
        for value in values:
            found.append(infer(f"parameter {key} {json.dumps(value)}", tensor(), model="echo", parameters={key: value}))
    for value in (1, "true", None):
        found.append(
            infer(f"binary_data_output {value}", tensor(), model="echo", parameters={"binary_data_output": value})
        )
        found.append(infer(f"binary_data {value}", tensor(), model="echo", outputs=_output(binary_data=value)))
    found.append(infer("parameters are a list", tensor(), model="echo", parameters=[1]))
    found.append(infer("parameters of an input are a list", tensor(parameters=[1]), model="echo"))
    return found


def _refused(theirs: Any, ours: Any) -> bool:
    return ours[0] in (400, "INVALID_ARGUMENT")


def _listed(theirs: Any, ours: Any) -> bool:
    """Tell whether the texts differ in nothing but the order of inputs, and how none is written."""
    texts = (sorted(re.findall(r"\w+", answer[1]["error"])) for answer in (theirs, ours))
    return bool(theirs[0] == ours[0] and next(texts) == next(texts))


MEANT = {
    r"REST sequence: a control given": Meant(
        "inputs are listed as they came, and an empty list is `[]`; Triton's order is by chance, and it writes `]`",
        _listed,
    ),
    r"REST required: of another batch": Meant(
        "the first input that disagrees is named; Triton's order is by chance",
        lambda theirs, ours: theirs[1]["error"].replace("INPUT0", "A") == ours[1]["error"],
    ),
    r"(REST|gRPC contents:) (an output|outputs) twice": Meant("the newer server refuses to answer twice", _refused),
    r"REST packed as ''": Meant("the newer server takes no name for no packing", lambda theirs, ours: ours[0] == 200),
    r"REST (not packed as '(gzip|deflate)'|packed cut)": Meant(
        "what cannot be unpacked is refused; the real server takes it for the bytes of a tensor", _refused
    ),
    r"gRPC contents: text that lies": Meant(
        "the text that is cut is told, as over REST; the real server counts those before it", _refused
    ),
    r"REST parameters of an input are a list": Meant("a body that means nothing is refused", _refused),
}
