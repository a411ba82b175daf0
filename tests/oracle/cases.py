"""What both servers are asked: REST as method, path, headers and body; gRPC as a method and a message."""

import json
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2 as pb

TYPES = {
    "BOOL": (np.bool_, [True, False]),
    "UINT8": (np.uint8, [0, 255]),
    "UINT16": (np.uint16, [0, 65535]),
    "UINT32": (np.uint32, [0, 2**32 - 1]),
    "UINT64": (np.uint64, [0, 2**64 - 1]),
    "INT8": (np.int8, [-128, 127]),
    "INT16": (np.int16, [-32768, 32767]),
    "INT32": (np.int32, [-(2**31), 2**31 - 1]),
    "INT64": (np.int64, [-(2**63), 2**63 - 1]),
    "FP16": (np.float16, [-1.5, 2.0]),
    "FP32": (np.float32, [-1.5, 0.1]),
    "FP64": (np.float64, [-1.5, 0.1]),
}

CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}


@dataclass(frozen=True)
class Rest:
    """One REST request."""

    name: str
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rpc:
    """One gRPC request."""

    name: str
    method: str
    message: Any


def tensor(data: object = None, **changes: object) -> dict[str, Any]:
    """Return one input of the model ``fp32`` as JSON; a member set to None is left out."""
    full = {
        "name": "INPUT0",
        "shape": [1, 2],
        "datatype": "FP32",
        "data": [1.5, 2.0] if data is None else data,
        **changes,
    }
    return {key: value for key, value in full.items() if value is not None}


def infer(name: str, *inputs: dict[str, Any], model: str = "fp32", **members: object) -> Rest:
    """Return an inference request over REST."""
    return Rest(name, "POST", f"/v2/models/{model}/infer", json.dumps({"inputs": list(inputs), **members}).encode())


def raw(name: str, body: bytes, model: str = "fp32", headers: dict[str, str] | None = None) -> Rest:
    """Return an inference request with exactly this body."""
    return Rest(name, "POST", f"/v2/models/{model}/infer", body, headers or {})


def binary(name: str, data: bytes, model: str = "fp32", size: int | None = None, **changes: object) -> Rest:
    """Return an inference request whose tensor follows the JSON."""
    given = tensor(**changes)
    del given["data"]
    given["parameters"] = {"binary_data_size": len(data) if size is None else size}
    head = json.dumps({"inputs": [given]}).encode()
    return raw(name, head + data, model, {"Inference-Header-Content-Length": str(len(head))})


def rest_cases() -> list[Rest]:
    """Return every REST request."""
    return [*_operations(), *_good(), *_shapes(), *_malformed(), *_binary(), *_repository()]


def _operations() -> list[Rest]:
    gets = [
        "/v2", "/v2/", "/v2/health/live", "/v2/health/ready", "/v2/health", "/v2/models", "/v2/models/fp32",
        "/v2/models/fp32/", "/v2/models/fp32/versions/1", "/v2/models/fp32/versions/9", "/v2/models/nope",
        "/v2/models/fp32/ready", "/v2/models/fp32/versions/1/ready", "/v2/models/nope/ready",
        "/v2/models/fp32/versions/9/ready", "/v2/models/nope/stats", "/v2/models/fp32/versions/9/stats",
        "/v2/models/nope/config", "/v2/models/fp32/nothing", "/nothing",
    ]  # fmt: skip
    posts = ["/v2", "/v2/health/live", "/v2/models/fp32", "/v2/models/fp32/config", "/v2/models/nope/infer"]
    wrong = ["/v2/models/fp32/infer", "/v2/repository/index"]
    return [
        *[Rest(f"GET {path}", "GET", path) for path in gets],
        *[Rest(f"POST {path}", "POST", path, b"{}") for path in posts],
        *[Rest(f"GET {path}", "GET", path) for path in wrong],
    ]


def _good() -> list[Rest]:
    cases = [
        infer("id", tensor(), id="seven"),
        infer("nested data", tensor([[1.5, 2]])),
        infer("numbers as integers", tensor([1, -2])),
        infer("exponents", tensor([1e-7, 1.25e21])),
        infer("named output", tensor(), outputs=[{"name": "OUTPUT0"}]),
        infer("empty outputs", tensor(), outputs=[]),
        infer("parameters", tensor(), parameters={"a": 1, "b": True, "c": "x", "d": 1.5}),
        infer("a model that raises", tensor(), model="raises"),
        infer("batch of three", tensor([1, 2, 3, 4, 5, 6], shape=[3, 2])),
        infer("no batch dimension", tensor([1, 2], shape=[2]), model="flat"),
        infer("unknown members", {**tensor(), "other": [{"x": None}]}, other={"y": []}),
        infer("strings", tensor(["a", "\u00e9", ""], shape=[1, 3], datatype="BYTES"), model="string"),
        infer("version in the body is ignored", tensor(), model_version="9"),
        infer("binary output", tensor(), outputs=[{"name": "OUTPUT0", "parameters": {"binary_data": True}}]),
        infer("binary by default", tensor(), parameters={"binary_data_output": True}),
        raw("spaces", b' \n{ "inputs" : [ ' + json.dumps(tensor()).encode() + b" ] } \t"),
    ]
    for data_type, (dtype, values) in TYPES.items():
        model, array = data_type.lower(), np.array([values], dtype)
        if data_type != "FP16":
            cases.append(infer(f"{data_type} in JSON", tensor(values, datatype=data_type), model=model))
        cases.append(binary(f"{data_type} in binary", array.tobytes(), model, datatype=data_type))
    return cases


def _shapes() -> list[Rest]:
    return [
        infer("no inputs", model="fp32"),
        infer("unknown input", tensor(name="OTHER")),
        infer("input twice", tensor(), tensor()),
        infer("too many inputs", tensor(), tensor(name="OTHER")),
        infer("unknown output", tensor(), outputs=[{"name": "OTHER"}]),
        infer("wrong type", tensor([1, 2], datatype="INT32")),
        infer("unknown type", tensor(datatype="FLOAT")),
        infer("wrong rank", tensor([1, 2], shape=[1, 1, 2])),
        infer("wrong size", tensor([1, 2, 3], shape=[1, 3]), model="fixed"),
        infer("no shape at all", tensor([1], shape=[])),
        infer("large batch", tensor(list(range(18)), shape=[9, 2])),
        infer("large batch with an id", tensor(list(range(18)), shape=[9, 2]), id="seven"),
        infer("too many elements", tensor([1, 2, 3])),
        infer("too few elements", tensor([1])),
        infer("one of two inputs", tensor(), model="two"),
        infer("other of two inputs", tensor(name="OTHER"), model="two"),
        infer("different batches", tensor(), tensor([1, 2, 3, 4], name="INPUT1", shape=[2, 2]), model="two"),
        infer("FP16 in JSON", tensor(datatype="FP16"), model="fp16"),
        infer("zero elements", tensor([], shape=[1, 0])),
    ]


def _malformed() -> list[Rest]:
    good = json.dumps({"inputs": [tensor()]})
    texts = {
        "empty": "", "brace": "{", "letters": "abc", "array": "[]", "string": '"x"', "number": "7", "trailing": good + "x",
        "two documents": good + good, "missing comma": good.replace(", ", " ", 1), "missing colon": good.replace(":", "", 1),
        "trailing comma": good.replace("2.0]", "2.0,]"), "cut": good[:-3], "single quotes": good.replace('"', "'"),
        "bad escape": good.replace("INPUT0", "\\x"), "bad unicode": good.replace("INPUT0", "\\u12g4"),
        "surrogate": good.replace("INPUT0", "\\ud800"), "number cut": good.replace("2.0", "2."),
        "exponent cut": good.replace("2.0", "2e"), "number too big": good.replace("2.0", "1e999"),
        "too deep": '{"inputs":' + "[" * 120 + "]" * 120 + "}",
    }  # fmt: skip
    return [
        *[raw(f"malformed: {name}", text.encode()) for name, text in texts.items()],
        raw("inputs are an object", b'{"inputs":{}}'),
        raw("no inputs member", b'{"input":[]}'),
        infer("no name", tensor(name=None)),
        infer("no datatype", tensor(datatype=None)),
        infer("no shape", tensor(shape=None)),
        infer("negative shape", tensor(shape=[-1, 2])),
        infer("shape of fractions", tensor(shape=[1.5, 2])),
        infer("shape is a string", tensor(shape="1,2")),
        infer("data is a number", tensor(7)),
        infer("data is a string", tensor("xy")),
        infer("strings for numbers", tensor(["1", "2"])),
        infer("numbers for strings", tensor([1, 2], datatype="BYTES"), model="string"),
        infer("numbers for booleans", tensor([0, 1], datatype="BOOL"), model="bool"),
        infer("fractions for integers", tensor([1.5, 2], datatype="INT32"), model="int32"),
        infer("negative for unsigned", tensor([-1, 2], datatype="UINT32"), model="uint32"),
        infer("null", tensor([None, 2])),
        infer("id is a number", tensor(), id=7),
        infer("reserved parameter", tensor(), parameters={"triton_x": 1}),
        infer("array parameter", tensor(), parameters={"x": [1]}),
        infer("no data", {"name": "INPUT0", "shape": [1, 2], "datatype": "FP32"}),
        infer("data and binary", tensor(parameters={"binary_data_size": 8})),
        infer("binary without header", {**tensor(), "data": None, "parameters": {"binary_data_size": 8}}),
    ]


def _binary() -> list[Rest]:
    data = struct.pack("<2f", 1.5, 2)
    text = struct.pack("<I", 1) + b"a" + struct.pack("<I", 0)
    good = binary("binary", data)
    return [
        good,
        binary("binary too short", data[:4]),
        binary("binary too long", data + b"xx"),
        binary("tail cut", data[:4], size=8),
        binary("tail longer than told", data + b"xx", size=8),
        binary("binary wrong type", data, datatype="INT32"),
        binary("binary unknown type", data, datatype="FLOAT"),
        binary("strings in binary", text, "string", datatype="BYTES"),
        binary("string length lies", struct.pack("<I", 99) + b"a", "string", shape=[1, 1], datatype="BYTES"),
        binary("string length cut", b"\x01\x00", "string", shape=[1, 1], datatype="BYTES"),
        binary("too many strings", text, "string", shape=[1, 1], datatype="BYTES"),
        binary("too few strings", text, "string", shape=[1, 3], datatype="BYTES"),
        raw("header length no number", good.body, headers={"Inference-Header-Content-Length": "x"}),
        raw("header length negative", good.body, headers={"Inference-Header-Content-Length": "-1"}),
        raw("header length too large", good.body, headers={"Inference-Header-Content-Length": "100000"}),
        raw("unknown encoding", good.body, headers={"Content-Encoding": "br"}),
        raw("encoding lies", good.body, headers={"Content-Encoding": "gzip"}),
        raw("nothing to unpack", b"", headers={"Content-Encoding": "gzip"}),
    ]


def _repository() -> list[Rest]:
    def operation(name: str, what: str, body: bytes = b"") -> Rest:
        return Rest(f"{what} {name or 'index'} {body.decode()}".strip(), "POST", f"/v2/repository/{what}", body)

    return [
        operation("", "index"),
        operation("", "index", b'{"ready":true}'),
        operation("", "index", b'{"ready":7}'),
        operation("", "other/index"),
        operation("nope", "models/nope/load"),
        operation("fp32", "models/fp32/load"),
        operation("nope", "models/nope/unload"),
        operation("fp64", "models/fp64/unload"),
        Rest("infer after unload", "POST", "/v2/models/fp64/infer", json.dumps({"inputs": [tensor()]}).encode()),
        Rest("ready after unload", "GET", "/v2/models/fp64/ready"),
        operation("", "index", b""),
        operation("fp64", "models/fp64/load", b"{}"),
        Rest("ready after load", "GET", "/v2/models/fp64/ready"),
    ]


def message(**changes: Any) -> pb.ModelInferRequest:
    """Return an inference message for the model ``fp32``."""
    request = pb.ModelInferRequest(model_name=changes.pop("model", "fp32"), **changes.pop("members", {}))
    given = request.inputs.add(name="INPUT0", datatype="FP32", shape=[1, 2])
    for key, value in changes.pop("given", {}).items():
        if key == "shape":
            given.ClearField("shape")
            given.shape.extend(value)
        else:
            setattr(given, key, value)
    request.raw_input_contents.extend(changes.pop("data", [struct.pack("<2f", 1.5, 2)]))
    return request


def rpc_cases() -> list[Rpc]:
    """Return every gRPC request."""
    infer_cases = {
        "good": message(),
        "id": message(members={"id": "seven"}),
        "version": message(members={"model_version": "1"}),
        "unknown version": message(members={"model_version": "9"}),
        "version no number": message(members={"model_version": "x"}),
        "negative version": message(members={"model_version": "-1"}),
        "unknown model": message(model="nope"),
        "wrong type": message(given={"datatype": "INT32"}),
        "unknown type": message(given={"datatype": "FLOAT"}),
        "wrong rank": message(given={"shape": [2]}),
        "negative shape": message(given={"shape": [-1, 2]}),
        "huge shape": message(given={"shape": [1, 2**62]}),
        "no shape": message(given={"shape": []}),
        "unknown input": message(given={"name": "OTHER"}),
        "no data": message(data=[]),
        "short data": message(data=[b"1234"]),
        "long data": message(data=[b"123456789012"]),
        "extra data": message(data=[struct.pack("<2f", 1.5, 2), b"x"]),
        "large batch": message(given={"shape": [9, 2]}, data=[b"\0" * 72]),
        "nothing": pb.ModelInferRequest(),
    }
    both = message()
    both.inputs[0].contents.fp32_contents.extend([1.5, 2])
    infer_cases["contents and raw"] = both
    wrong = message(data=[])
    wrong.inputs[0].contents.int_contents.extend([1, 2])
    infer_cases["contents of another type"] = wrong
    few = message(data=[])
    few.inputs[0].contents.fp32_contents.extend([1.5])
    infer_cases["too few contents"] = few
    for name, parameter in {
        "sequence_id": pb.InferParameter(bool_param=True),
        "sequence_start": pb.InferParameter(int64_param=1),
        "priority": pb.InferParameter(string_param="x"),
        "timeout": pb.InferParameter(string_param="x"),
        "triton_other": pb.InferParameter(int64_param=1),
        "other": pb.InferParameter(int64_param=1),
    }.items():
        given = message()
        given.parameters[name].CopyFrom(parameter)
        infer_cases[f"parameter {name}"] = given
    for data_type, field_name in CONTENTS.items():
        dtype, values = TYPES[data_type]
        typed = message(model=data_type.lower(), given={"datatype": data_type}, data=[])
        getattr(typed.inputs[0].contents, field_name).extend(values)
        infer_cases[f"{data_type} contents"] = typed
        packed = np.array([values], dtype).tobytes()
        infer_cases[f"{data_type} raw"] = message(model=data_type.lower(), given={"datatype": data_type}, data=[packed])
    others = [
        Rpc("live", "ServerLive", pb.ServerLiveRequest()),
        Rpc("ready", "ServerReady", pb.ServerReadyRequest()),
        Rpc("model ready", "ModelReady", pb.ModelReadyRequest(name="fp32")),
        Rpc("unknown model ready", "ModelReady", pb.ModelReadyRequest(name="nope")),
        Rpc("metadata", "ModelMetadata", pb.ModelMetadataRequest(name="fp32")),
        Rpc("unknown metadata", "ModelMetadata", pb.ModelMetadataRequest(name="nope")),
        Rpc("unknown config", "ModelConfig", pb.ModelConfigRequest(name="nope")),
        Rpc("unknown statistics", "ModelStatistics", pb.ModelStatisticsRequest(name="nope")),
        Rpc("named index", "RepositoryIndex", pb.RepositoryIndexRequest(repository_name="x")),
        Rpc("load unknown", "RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="nope")),
        Rpc("unload unknown", "RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="nope")),
    ]
    return [*[Rpc(name, "ModelInfer", request) for name, request in infer_cases.items()], *others]
