"""What is asked of models that stream: over `generate`, `generate_stream` and one gRPC stream, alone and several at once."""

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from oracle.cases import Rest


@dataclass(frozen=True)
class Stream:
    """Messages of one stream, and its metadata."""

    name: str
    messages: list[Any]
    metadata: tuple[tuple[str, str], ...] = ()


def generate_cases() -> list[Rest]:
    """Return every request over REST, each to both operations."""
    cases = [*_mapped(), *_answered(), *_malformed(), *_told()]
    return [
        Rest(f"{operation} {name}", "POST", f"/v2/models/{model}/{operation}", body, headers)
        for name, model, body, headers in cases
        for operation in ("generate", "generate_stream")
    ] + [
        Rest("GET generate", "GET", "/v2/models/sees/generate"),
        Rest("GET generate_stream", "GET", "/v2/models/sees/generate_stream"),
        Rest("generate, version 1", "POST", "/v2/models/sees/versions/1/generate", b'{"text":"a"}'),
        Rest("generate, version 9", "POST", "/v2/models/sees/versions/9/generate", b'{"text":"a"}'),
        Rest("generate_stream, version 9", "POST", "/v2/models/sees/versions/9/generate_stream", b'{"text":"a"}'),
        Rest("generate, version x", "POST", "/v2/models/sees/versions/x/generate", b'{"text":"a"}'),
        *[
            Rest(f"statistics of {model}", "GET", f"/v2/models/{model}/stats")
            for model in ("sees", "returns", "half", "clashes", "raises")
        ],
        Rest("generate and more", "POST", "/v2/models/sees/generate/more", b'{"text":"a"}'),
    ]


_Case = tuple[str, str, bytes, dict[str, str]]


def _case(name: str, model: str = "sees", **members: object) -> _Case:
    return name, model, json.dumps(members).encode(), {}


def _mapped() -> list[_Case]:
    """How members become inputs and parameters."""
    deep = {"text": "a", "temperature": 0.5, "stop": "x", "n": 3, "yes": True}
    cases = [
        _case("nothing"),
        _case("a text", text="hi"),
        _case("an id", text="hi", id="seven"),
        _case("an empty id", text="hi", id=""),
        _case("an id that is a number", text="hi", id=7),
        _case("parameters beside", text="a", temperature=0.5, stop="x", n=3, negative=-3, yes=True),
        _case("parameters within", parameters=deep),
        _case("parameters in both", text="a", n=1, parameters={"n": 2}),
        _case("an input in both", text="a", parameters={"text": "b"}),
        _case("parameters that are empty", text="a", parameters={}),
        _case("parameters that are a list", text="a", parameters=[1]),
        _case("parameters that are text", text="a", parameters="x"),
        _case("parameters within parameters", text="a", parameters={"parameters": {"n": 1}}),
        _case("a parameter that is a list", text="a", stop=["x"]),
        _case("a parameter that is an object", text="a", stop={"x": 1}),
        _case("a parameter that is nothing", text="a", stop=None),
        _case("a list within parameters", text="a", parameters={"stop": ["x"]}),
        _case("a large number", text="a", n=2**40),
        _case("a larger number", text="a", n=2**64 - 1),
        _case("what belongs to sequences", text="a", sequence_id=5, sequence_start=True, sequence_end=True),
        _case("priority and timeout", text="a", priority=1, timeout=10_000_000),
        _case("a reserved parameter", text="a", triton_x=1),
        _case("binary_data_output", text="a", binary_data_output=True),
        _case("text that is escaped", text='say "ä" \u20ac\n'),
        _case("a list of one text", text=["a"]),
        _case("two texts for one", text=["a", "b"]),
        _case("several texts", words=["a", "", "c"]),
        _case("one of several texts", words="a"),
        _case("no texts", words=[]),
        _case("a number", number=-5),
        _case("bytes", small=[1, 2, 255]),
        _case("a big number", big=2**64 - 1),
        _case("a fraction", fraction=1.5),
        _case("an integer for a fraction", fraction=[1, 2.5]),
        _case("no fractions", fraction=[]),
        _case("a flag", flag=True),
        _case("half precision", half=1.5),
        _case("three for rows of two", rows=[1, 2, 3]),
        _case("four for rows of two", rows=[1, 2, 3, 4]),
        _case("one for rows of two", rows=1),
        _case("no rows", rows=[]),
        _case("rows in rows", rows=[[1, 2], [3, 4]]),
        _case("two open dimensions", both=[1, 2, 3]),
        _case("three for a pair", pair=[1, 2, 3]),
        _case("two for a pair", pair=[1, 2]),
        _case("nothing for a pair", pair=[]),
        _case("a number for text", text=5),
        _case("text for a number", number="5"),
        _case("a fraction for a number", number=1.5),
        _case("text for a fraction", fraction="1.5"),
        _case("a number for a flag", flag=1),
        _case("text for a flag", flag=["true"]),
        _case("null for a number", number=None),
        _case("an object for an input", text={"a": 1}),
        _case("a negative for a large number", big=-1),
        _case("an input of that name", "nested", parameters="a"),
        _case("an input of that name as object", "nested", parameters={"a": 1}),
        _case("an unknown model", "nope", text="a"),
    ]
    batches = [(name, "batches", body, headers) for name, model, body, headers in cases if model == "sees"]
    return cases + [(f"{name}, in batches", *rest) for name, *rest in batches]


def _answered() -> list[_Case]:
    """How outputs become members."""
    return [
        _case("every type", "returns", BOOL=[True], UINT8=[255], UINT64=[2**64 - 1], INT8=[-128], INT64=[-(2**63)], FP32=[0.1], FP64=[0.1], STRING=["ä"]),
        _case("every type as lists", "returns", BOOL=[True, False], UINT8=[0, 255], INT64=[1, 2], FP32=[1, 2.5], FP64=[1e300, -0.0], STRING=['"', "\\"]),
        _case("nothing in a list", "returns", FP32=[]),
        _case("no numbers", "returns", FP32=[math.nan, math.inf, -math.inf], FP64=math.nan),
        _case("large and small", "returns", FP32=[1e-30, 16777217], FP64=[1e-300, 123456789.125, 5e-324]),
        _case("an output in half precision", "half", HALF="a"),
        _case("names that clash", "clashes", ID="an id", MODEL_NAME="a name", ZEBRA="a zebra"),
        _case("names that clash with an id", "clashes", ID="an id", MODEL_NAME="a name", ZEBRA="a zebra", id="seven"),
        _case("a model that fails", "raises", WORDS=["a"]),
        _case("a model that fails, with an id", "raises", WORDS=["a"], id="seven"),
    ]  # fmt: skip


def _malformed() -> list[_Case]:
    texts = {
        "an empty body": b"", "a brace": b"{", "letters": b"abc", "a list": b"[]", "a text": b'"x"', "a number": b"7", "null": b"null",
        "more behind": b'{"text":"a"}x', "twice": b'{"text":"a","text":"b"}', "a parameter twice": b'{"text":"a","n":1,"n":2}',
        "no unicode": b'{"text":"\xff"}', "a lone surrogate": b'{"text":"\\ud800"}', "spaces": b' \n{ "text" : "a" } \t',
        "exponents": b'{"fraction":[1e-7,1E+20]}',
        "NaN": b'{"fraction":NaN}', "infinity": b'{"fraction":[Inf,-Inf]}',
    }  # fmt: skip
    good = b'{"text":"a"}'
    return [
        *[(f"malformed: {name}", "sees", text, {}) for name, text in texts.items()],
        ("compressed", "sees", good, {"Content-Encoding": "gzip"}),
        ("not compressed", "sees", good, {"Content-Encoding": "identity"}),
        ("another encoding", "sees", good, {"Content-Encoding": "br"}),
        ("compression accepted", "sees", good, {"Accept-Encoding": "gzip"}),
        ("an inference header", "sees", good, {"Inference-Header-Content-Length": "3"}),
        ("another content type", "sees", good, {"Content-Type": "text/plain"}),
    ]


SCRIPTS: dict[str, list[str]] = {
    "one answer": ["a"],
    "one that is the last": ["last:a"],
    "two answers": ["a", "b"],
    "two, the last with the end": ["a", "last:b"],
    "no answer": [],
    "from a thread": ["thread", "a", "b", "c"],
    "an error": ["fail:INTERNAL=no"],
    "an error that is not found": ["fail:NOT_FOUND=no"],
    "an error of the client": ["fail:INVALID_ARG=no"],
    "an error that is the last": ["lastfail:UNAVAILABLE=no"],
    "an error, then an answer": ["fail:INTERNAL=no", "a"],
    "an error between answers": ["a", "fail:INTERNAL=no", "b"],
    "an error at the end": ["a", "lastfail:UNSUPPORTED=no"],
    "an answer without outputs": ["empty", "a"],
    "odd characters": ["odd:zero", "odd:emoji", "odd:control"],
    "no unicode": ["odd:latin", "odd:cut"],
    "fifty answers": [f"word {n}" for n in range(50)],
    "the model raises": ["raise"],
}


def _told() -> list[_Case]:
    """How many answers there are."""
    scripts = [_case(name, "tells", WORDS=words) for name, words in SCRIPTS.items()]
    return [
        *scripts,
        _case("answers with an id", "tells", WORDS=["a", "fail:INTERNAL=no", "b"], id="seven"),
        *[
            (f"{name}, of an ensemble", "outside", body, headers)
            for name, _, body, headers in scripts
            if "error" not in name and "raises" not in name
        ],
    ]


def ask(words: list[str], model: str = "tells", **members: Any) -> pb.ModelInferRequest:
    """Return a request of one script."""
    request = pb.ModelInferRequest(model_name=model, **members)
    request.inputs.add(name="WORDS", datatype="BYTES", shape=[len(words)])
    request.raw_input_contents.append(b"".join(struct.pack("<I", len(word)) + word.encode() for word in words))
    return request


def _once(words: list[str], model: str = "returns", **members: Any) -> pb.ModelInferRequest:
    request = ask(words, model, **members)
    request.inputs[0].name = "STRING"
    return request


def with_parameter(request: pb.ModelInferRequest, name: str, **value: Any) -> pb.ModelInferRequest:
    """Return the request with one parameter more."""
    request.parameters[name].CopyFrom(pb.InferParameter(**value))
    return request


def _empty_final(request: pb.ModelInferRequest) -> pb.ModelInferRequest:
    return with_parameter(request, "triton_enable_empty_final_response", bool_param=True)


def stream_cases() -> list[Stream]:
    """Return every gRPC stream."""
    strict = (("triton_grpc_error", "true"),)
    cases = []
    for name, words in SCRIPTS.items():
        cases.append(Stream(name, [ask(words, id="1")]))
        cases.append(Stream(f"{name}, empty final", [_empty_final(ask(words, id="1"))]))
        if "error" in name or "raises" in name:
            cases.append(Stream(f"{name}, strict", [ask(words, id="1")], strict))
        else:
            cases.append(Stream(f"{name}, of an ensemble", [ask(words, "outside", id="1")]))
            cases.append(Stream(f"{name}, of an ensemble, empty final", [_empty_final(ask(words, "outside", id="1"))]))
    once = _once(["a", "b"], id="1")
    wrong = ask(["a"], id="1")
    wrong.inputs[0].datatype = "INT32"
    wrong_shape = ask(["a"], id="1")
    wrong_shape.inputs[0].shape[0] = 2
    cases += [
        Stream("nothing is asked", []),
        Stream("two requests", [ask(["a", "b"], id="1"), _empty_final(ask(["c", "d"], id="2"))]),
        Stream("a single answer", [once]),
        Stream("a single answer, empty final", [_empty_final(_once(["a"], id="1"))]),
        Stream("single answers in order", [_once([str(n)], id=str(n)) for n in range(30)]),
        Stream("without an id", [ask(["a"])]),
        Stream("a version", [_empty_final(ask(["a"], id="1", model_version="1"))]),
        Stream("an output that is named", [_named(ask(["a"], id="1"), "SAID")]),
        Stream("an output that is unknown", [_named(ask(["a"], id="1"), "OTHER")]),
        Stream("an unknown model", [ask(["a"], "nope", id="1")]),
        Stream("an unknown version", [ask(["a"], id="1", model_version="9")]),
        Stream("a version that is no number", [ask(["a"], id="1", model_version="x")]),
        Stream("an unknown model, strict", [ask(["a"], "nope", id="1"), _once(["b"], id="2")], strict),
        Stream("wrong type", [wrong, _once(["b"], id="2")]),
        Stream("wrong type, strict", [wrong, _once(["b"], id="2")], strict),
        Stream("wrong shape", [wrong_shape]),
        Stream("an empty message", [pb.ModelInferRequest()]),
        Stream("no inputs", [pb.ModelInferRequest(model_name="tells", id="1")]),
        Stream("empty final is a number", [with_parameter(ask(["a"], id="1"), "triton_enable_empty_final_response", int64_param=1)]),
        Stream("empty final is false", [with_parameter(ask(["a"], id="1"), "triton_enable_empty_final_response", bool_param=False)]),
        Stream("a reserved parameter", [with_parameter(ask(["a"], id="1"), "triton_x", int64_param=1)]),
        Stream("a priority that is text", [with_parameter(ask(["a"], id="1"), "priority", string_param="x")]),
        Stream("a parameter", [with_parameter(_seen(), "temperature", double_param=0.5)]),
        Stream("strict that is false", [ask(["fail:INTERNAL=no", "a"], id="1")], (("triton_grpc_error", "false"),)),
        Stream("a model that fails", [ask(["a"], "raises", id="1")]),
        Stream("a model that fails, strict", [ask(["a"], "raises", id="1")], strict),
    ]  # fmt: skip
    # The installed server does not outlive all of those that end with an error.
    return sorted(cases, key=lambda case: case.metadata == strict)


def _seen() -> pb.ModelInferRequest:
    request = ask(["a"], "sees", id="1")
    request.inputs[0].name = "words"
    return request


def _named(request: pb.ModelInferRequest, name: str) -> pb.ModelInferRequest:
    request.outputs.add(name=name)
    return request


def unary_cases() -> dict[str, pb.ModelInferRequest]:
    """Return what is asked for a single answer, also of models that give any number."""
    return {
        "decoupled": ask(["a"]),
        "decoupled, of an ensemble": ask(["a"], "outside"),
        "empty final": _empty_final(_once(["a"])),
    }
