"""What both servers are asked about tensors: shared memory, classification, bytes alone, other shapes, inputs that may be left out."""

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2 as pb

from oracle.cases import TYPES, Rest, Rpc
from oracle.meant import Meant
from oracle.models import MODEL

# The segments of every server; who starts them takes them away at the end. The installed server does not survive every use of a region that
# begins behind the start of its segment, and forgets to begin there where nothing is said: regions here begin where their segments do.
SEGMENTS = {name: Path(f"/dev/shm/windlass_oracle_{name}") for name in ("all", "words", "late", "more")}
KEYS = {name: f"/{path.name}" for name, path in SEGMENTS.items()}
KEY = KEYS["all"]
SEGMENT_BYTES = 8192
_WORDS = [b"one", b"", "zw\u00f6lf".encode()]
_PACKED = b"".join(struct.pack("<I", len(word)) + word for word in _WORDS)

# Answers with the shape it sees, and what it was given in the shape it is told to.
SHAPES = """
import json
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.returned = json.loads(args["model_config"])["parameters"].get("returned", {}).get("string_value")

    def execute(self, requests):
        answers = []
        for request in requests:
            array = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            seen = np.full(array.shape[:1], str(array.shape).encode(), object).reshape(-1, 1)
            if self.returned:
                array = array.reshape(json.loads(self.returned))
            tensors = [pb_utils.Tensor("OUTPUT0", array), pb_utils.Tensor("SEEN", seen)]
            answers.append(pb_utils.InferenceResponse(tensors))
        return answers
"""

# Answers with the names of the inputs it is given.
GIVEN = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            names = sorted(tensor.name() for tensor in request.inputs())
            given = np.array([[",".join(names).encode()]], object)
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", given)]))
        return answers
"""

_CLASSES = ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP32", "FP64", "FP16", "BOOL")


def write_models(folder: Path) -> None:
    """Write the models, and into the segment what it holds at first."""
    contents = bytearray(SEGMENT_BYTES)
    contents[:16] = struct.pack("<4f", 0.5, -1.0, 7.25, 3.0)
    SEGMENTS["all"].write_bytes(contents)
    SEGMENTS["words"].write_bytes(_PACKED.ljust(64, b"\0"))
    SEGMENTS["late"].write_bytes(bytes(64))
    SEGMENTS["more"].write_bytes(bytes(64))
    for name, (source, config) in _models().items():
        (folder / name / "1").mkdir(parents=True)
        if source:
            (folder / name / "1" / "model.py").write_text(source)
            config = f'backend: "python" instance_group {{ kind: KIND_CPU }} {config}'
        (folder / name / "config.pbtxt").write_text(config)
        if "label_filename" in config:
            (folder / name / "labels.txt").write_text("cat\n\ndog, or wolf\n")


def _models() -> dict[str, tuple[str, str]]:
    made = {
        "echo": (MODEL, _echo("FP32")),
        "words": (MODEL, _echo("STRING")),
        "flat": (MODEL, _echo("FP32", batch=0)),
        "fixed": (MODEL, _echo("FP32", "2")),
        "wide": (MODEL, _echo("FP32", "[ 2, -1 ]")),
        "wider": (MODEL, _echo("FP32", "[ -1, -1 ]")),
        "word": (MODEL, _echo("STRING", "1")),
        "word_flat": (MODEL, _echo("STRING", "1", batch=0)),
        "pair": (MODEL, _echo("STRING", "2")),
        "two": (MODEL, _echo("FP32", more='input { name: "INPUT1" data_type: TYPE_FP32 dims: -1 }')),
        "labelled": (MODEL, _echo("FP32", label='label_filename: "labels.txt"')),
        "labelled_flat": (MODEL, _echo("FP32", "[ -1, -1 ]", batch=0, label='label_filename: "labels.txt"')),
        "outside": ("", _OUTSIDE),
        "outside_labelled": ("", _OUTSIDE.replace('OUT" data', 'OUT" label_filename: "labels.txt" data')),
        "square": (SHAPES, _reshaped("4", "[ 2, 2 ]")),
        "open": (SHAPES, _reshaped("[ 4, -1 ]", "[ 2, 2, -1 ]")),
        "scalar": (SHAPES, _reshaped("1", "[ ]")),
        "scalar_kept": (SHAPES, _reshaped("1", "[ ]", returned="[-1, 1]")),
        "square_flat": (SHAPES, _reshaped("4", "[ 2, 2 ]", batch=0)),
        "optional": (GIVEN, _OPTIONAL),
        "optional_all": (GIVEN, _OPTIONAL.replace('"NEEDED"', '"NEEDED" optional: true')),
    }
    return made | {f"scores_{name.lower()}": (MODEL, _echo(name)) for name in _CLASSES}


def _echo(data_type: str, dims: str = "-1", batch: int = 8, more: str = "", label: str = "") -> str:
    tensor = f"data_type: TYPE_{data_type} dims: {dims}"
    return (
        f'max_batch_size: {batch} input {{ name: "INPUT0" {tensor} }} {more}\n'
        f'output {{ name: "OUTPUT0" {label} {tensor} }}'
    )


def _reshaped(dims: str, shape: str, batch: int = 8, returned: str = "") -> str:
    tensor = f"data_type: TYPE_FP32 dims: {dims} reshape {{ shape: {shape} }}"
    parameter = f'parameters {{ key: "returned" value {{ string_value: "{returned}" }} }}' if returned else ""
    return (
        f'max_batch_size: {batch} input {{ name: "INPUT0" {tensor} }} output {{ name: "OUTPUT0" {tensor} }}\n'
        f'output {{ name: "SEEN" data_type: TYPE_STRING dims: {"1" if batch else "[ -1, 1 ]"} }} {parameter}'
    )


_OUTSIDE = """
platform: "ensemble" max_batch_size: 8
input { name: "IN" data_type: TYPE_FP32 dims: -1 }
output { name: "OUT" data_type: TYPE_FP32 dims: -1 }
ensemble_scheduling { step {
  model_name: "labelled" model_version: -1
  input_map { key: "INPUT0" value: "IN" } output_map { key: "OUTPUT0" value: "OUT" }
} }
"""

_OPTIONAL = """
max_batch_size: 8
input { name: "NEEDED" data_type: TYPE_FP32 dims: -1 }
input { name: "MAY" data_type: TYPE_FP32 dims: -1 optional: true }
input { name: "MIGHT" data_type: TYPE_STRING dims: 1 optional: true }
output { name: "OUTPUT0" data_type: TYPE_STRING dims: 1 }
"""


def cases() -> Sequence[Rest | Rpc]:
    """Return every question, in an order in which later ones see what earlier ones did."""
    return [*_regions(), *_inputs(), *_outputs(), *_rpc_memory(), *_classes(), *_alone(), *_shapes(), *_optional()]


def _post(name: str, path: str, body: object = None) -> Rest:
    return Rest(name, "POST", path, b"" if body is None else json.dumps(body).encode())


def _region(name: str, what: str, body: object = None, kind: str = "system") -> Rest:
    path = f"/v2/{kind}sharedmemory{f'/region/{name}' if name else ''}/{what}"
    asked = "" if body is None else json.dumps(body)
    if what == "status":
        return Rest(f"{kind} {name} status", "GET", path)
    return _post(f"{kind} {name} {what} {asked}".strip(), path, body)


def _regions() -> Iterator[Rest]:
    good = {"key": KEY, "offset": 0, "byte_size": SEGMENT_BYTES}
    yield _region("", "status")
    yield _region("all", "register", good)
    yield _region("all", "register", good)
    yield _region("words", "register", {"key": KEYS["words"], "offset": 0, "byte_size": 64})
    yield _region("late", "register", {"key": KEYS["late"].strip("/"), "byte_size": 64, "offset": 0})
    yield _region("behind", "register", {"key": KEY, "byte_size": 16, "offset": 4096})
    for body in (
        {"byte_size": 8}, {"key": KEY}, {"key": 7, "byte_size": 8}, {"key": KEY, "byte_size": "8"}, {"key": KEY, "byte_size": -8},
        {"key": KEY, "byte_size": 8, "offset": -1}, {"key": KEY, "byte_size": 8, "offset": "x"}, {"key": "/nope_d", "byte_size": 8},
        {"key": KEY, "byte_size": SEGMENT_BYTES + 1}, {"key": KEY, "byte_size": 8, "offset": SEGMENT_BYTES},
        {"key": KEY, "byte_size": 8, "offset": 2**64 - 4}, {"key": KEY, "byte_size": 2**64 - 1}, [], {},
        {"key": "", "byte_size": 8}, {"key": "/a/b", "byte_size": 8}, {"key": "/triton_python_backend_shm_region_1", "byte_size": 8},
    ):  # fmt: skip
        yield _region("bad", "register", body)
    for text in ("", "{", "x"):
        yield Rest(f"system register of {text!r}", "POST", "/v2/systemsharedmemory/region/bad/register", text.encode())
    yield Rest("system register by GET", "GET", "/v2/systemsharedmemory/region/bad/register")
    yield _post("system register without a name", "/v2/systemsharedmemory/register", good)
    yield _post("system status by POST", "/v2/systemsharedmemory/status")
    for name in ("", "all", "words", "late", "behind", "nope"):
        yield _region(name, "status")
    yield _region("behind", "unregister")
    yield _region("behind", "unregister")
    yield _region("nope", "unregister")
    yield _region("behind", "status")
    yield _region("", "status", kind="cuda")
    yield _region("nope", "status", kind="cuda")
    yield _region("nope", "unregister", kind="cuda")
    yield _region("", "unregister", kind="cuda")


def _shared(region: object = "all", size: object = 16, offset: object = None, **changes: object) -> dict[str, Any]:
    place = {"shared_memory_region": region, "shared_memory_byte_size": size, "shared_memory_offset": offset}
    parameters = {key: value for key, value in place.items() if value is not None}
    return {"name": "INPUT0", "shape": [1, 4], "datatype": "FP32", "parameters": parameters, **changes}


def _plain(data: list[Any], shape: list[int], data_type: str = "FP32", **changes: object) -> dict[str, Any]:
    return {"name": "INPUT0", "shape": shape, "datatype": data_type, "data": data, **changes}


def _infer(name: str, *inputs: dict[str, Any], model: str = "echo", **members: object) -> Rest:
    return _post(name, f"/v2/models/{model}/infer", {"inputs": list(inputs), **members})


def _inputs() -> Iterator[Rest]:
    yield _infer("shared input", _shared())
    yield _infer("shared input at an offset", _shared(size=8, offset=8, shape=[1, 2]))
    yield _infer("shared input of another region", _shared("late", 16))
    yield _infer("shared rows", _shared(size=16, shape=[2, 2]))
    yield _infer("shared words", _shared("words", len(_PACKED), shape=[1, 3], datatype="BYTES"), model="words")
    yield _infer("too many shared words", _shared("words", len(_PACKED), shape=[1, 2], datatype="BYTES"), model="words")
    yield _infer("shared words that are cut", _shared("words", 9, shape=[1, 3], datatype="BYTES"), model="words")
    yield _infer("two inputs of one place", _shared(), _shared(name="INPUT1"), model="two")
    yield _infer(
        "one shared, one not", _plain([1, 2], [1, 2]), _shared(size=8, shape=[1, 2], name="INPUT1"), model="two"
    )
    yield _infer("shared input of an unknown region", _shared("nope"))
    yield _infer("shared input of a region without a name", _shared(""))
    yield _infer("shared input too far", _shared(offset=SEGMENT_BYTES))
    yield _infer("shared input over the end", _shared(offset=SEGMENT_BYTES - 8))
    yield _infer("shared input to the end", _shared(offset=SEGMENT_BYTES - 16))
    yield _infer("shared input that overflows", _shared(size=2**64 - 1, offset=8))
    yield _infer("shared input without a size", _shared(size=None))
    yield _infer("shared input of no bytes", _shared(size=0, shape=[1, 0]))
    yield _infer("shared input too small", _shared(size=12))
    yield _infer("shared input too large", _shared(size=20))
    yield _infer("shared input and data", {**_shared(), "data": [1, 2, 3, 4]})
    yield _infer("shared input with a size that is a text", _shared(size="16"))
    yield _infer("shared input with a negative offset", _shared(offset=-1))
    yield _infer("shared input with a region that is a number", _shared(region=7))
    yield _infer("an offset without a region", {**_plain([1], [1, 1]), "parameters": {"shared_memory_offset": 4}})
    yield _infer("shared input of another type", _shared(datatype="INT32"))
    yield _infer("shared input of no type", _shared(datatype="FLOAT"))
    yield _infer("shared input nobody knows", _shared(name="OTHER"))


def _wanted(region: object = "all", size: object = 16, offset: object = 2048, **more: object) -> list[dict[str, Any]]:
    place = {"shared_memory_region": region, "shared_memory_byte_size": size, "shared_memory_offset": offset, **more}
    return [{"name": "OUTPUT0", "parameters": {key: value for key, value in place.items() if value is not None}}]


def _outputs() -> Iterator[Rest]:
    given = _plain([9, 8, 7, 6], [1, 4])
    read = _shared(offset=2048)
    yield _infer("output into a region", given, outputs=_wanted())
    yield _infer("what is there then", read)
    yield _infer("output into a larger place", given, outputs=_wanted(size=64))
    yield _infer("output where the input is", _shared(), outputs=_wanted(offset=0))
    yield _infer("output over part of the input", _shared(), outputs=_wanted(offset=8))
    yield _infer("what is there after that", _shared(size=24, shape=[1, 6]))
    words = _plain(["a", "bcd"], [1, 2], "BYTES")
    yield _infer("words into a region", words, model="words", outputs=_wanted("late", 12, None))
    yield _infer("which words are there", _shared("late", 12, shape=[1, 2], datatype="BYTES"), model="words")
    yield _infer("output too large", given, outputs=_wanted(size=12))
    yield _infer("words too large", words, model="words", outputs=_wanted("late", 8, None))
    yield _infer("no elements into a region", _plain([], [1, 0]), outputs=_wanted())
    yield _infer("output into an unknown region", given, outputs=_wanted("nope"))
    yield _infer("output too far", given, outputs=_wanted(offset=SEGMENT_BYTES))
    yield _infer("output over the end", given, outputs=_wanted(offset=SEGMENT_BYTES - 8))
    yield _infer("output without a size", given, outputs=_wanted(size=None))
    yield _infer("output in binary and shared", given, outputs=_wanted(binary_data=True))
    yield _infer("output in JSON and shared", given, outputs=_wanted(binary_data=False))
    yield _infer("classes and shared", given, outputs=_wanted(classification=2))
    yield _infer("no classes and shared", given, outputs=_wanted(classification=0))
    yield _infer(
        "output shared and binary by default", given, outputs=_wanted(), parameters={"binary_data_output": True}
    )
    yield _infer("shared output of an unknown name", given, outputs=[{**_wanted()[0], "name": "OTHER"}])


def _memory(region: Any = "all", size: Any = 16, offset: Any = None, **changes: Any) -> pb.ModelInferRequest:
    """Return a message whose input is shared, and whose output is where ``into`` says."""
    into = changes.pop("into", {})
    request = pb.ModelInferRequest(model_name=changes.pop("model", "echo"))
    given = request.inputs.add(
        name="INPUT0", datatype=changes.pop("datatype", "FP32"), shape=changes.pop("shape", [1, 4])
    )
    place = {"shared_memory_region": region, "shared_memory_byte_size": size, "shared_memory_offset": offset}
    for tensor, parameters in ((given, place), (request.outputs.add(name="OUTPUT0") if into else None, into)):
        for key, value in parameters.items():
            kind = {str: "string_param", bool: "bool_param", int: "int64_param"}.get(type(value))
            if kind:
                setattr(tensor.parameters[key], kind, value)
    return request


def _rpc_memory() -> Iterator[Rpc]:
    def system(title: str, method: str, **fields: Any) -> Rpc:
        return Rpc(title, f"SystemSharedMemory{method}", getattr(pb, f"SystemSharedMemory{method}Request")(**fields))

    yield system("one region", "Status", name="words")
    yield system("an unknown region", "Status", name="nope")
    yield system("register", "Register", name="more", key=KEYS["more"], byte_size=64)
    yield system("register again", "Register", name="more", key=KEYS["more"], byte_size=64)
    yield system("register without a name", "Register", key=KEY, byte_size=SEGMENT_BYTES)
    yield system("register nothing", "Register", name="bad", key="/nope_d", byte_size=16)
    yield system("register too much", "Register", name="bad", key=KEY, byte_size=SEGMENT_BYTES + 1)
    yield system("register too far", "Register", name="bad", key=KEY, byte_size=8, offset=2**63)
    yield system("register without a key", "Register", name="bad", byte_size=8)
    yield Rpc("CUDA regions", "CudaSharedMemoryStatus", pb.CudaSharedMemoryStatusRequest())
    yield Rpc("a CUDA region", "CudaSharedMemoryStatus", pb.CudaSharedMemoryStatusRequest(name="nope"))
    yield Rpc("forget CUDA", "CudaSharedMemoryUnregister", pb.CudaSharedMemoryUnregisterRequest())
    yield Rpc("forget a CUDA region", "CudaSharedMemoryUnregister", pb.CudaSharedMemoryUnregisterRequest(name="nope"))
    into = {"shared_memory_region": "late", "shared_memory_byte_size": 16}
    half = _memory()
    half.inputs[0].contents.fp32_contents.extend([1.0])
    late = _memory()
    late.raw_input_contents.append(b"xx")
    infer = {
        "shared": _memory(),
        "shared at an offset": _memory(size=8, offset=2056, shape=[1, 2]),
        "shared into a region": _memory(into=into),
        "what is there": _memory("late"),
        "shared words": _memory("words", len(_PACKED), shape=[1, 3], datatype="BYTES", model="words"),
        "shared into a small region": _memory(into={**into, "shared_memory_byte_size": 8}),
        "shared into an unknown region": _memory(into={**into, "shared_memory_region": "nope"}),
        "shared into no size": _memory(into={"shared_memory_region": "late"}),
        "shared into an offset": _memory(into={"shared_memory_offset": 8}),
        "shared classes": _memory(into={**into, "classification": 2}),
        "of an unknown region": _memory("nope"),
        "of a region without a name": _memory(""),
        "of a region that is a number": _memory(7),
        "of a size that is a text": _memory(size="16"),
        "of an offset that is a flag": _memory(offset=True),
        "of no size": _memory(size=None),
        "of a size without a region": _memory(None),
        "of an offset without a region": _memory(None, None, 8),
        "too far": _memory(offset=SEGMENT_BYTES),
        "over the end": _memory(offset=SEGMENT_BYTES - 8),
        "negative offset": _memory(offset=-8),
        "negative size": _memory(size=-8),
        "too small": _memory(size=12),
        "too large": _memory(size=20),
        "shared and contents": half,
        "shared and raw": late,
        "classes": _memory(into={"classification": 2}),
        "classes that are none": _memory(into={"classification": 0}),
        "classes below none": _memory(into={"classification": -1}),
        "classes as text": _memory(into={"classification": "2"}),
    }
    for name, message in infer.items():
        yield Rpc(f"memory: {name}", "ModelInfer", message)
    yield system("forget one", "Unregister", name="more")
    yield system("forget one again", "Unregister", name="more")
    yield system("forget another", "Unregister", name="words")
    yield system("forget the third", "Unregister", name="late")
    yield system("which is left", "Status")
    yield system("forget all", "Unregister")
    yield system("none is left", "Status")
    yield Rpc("memory: forgotten", "ModelInfer", _memory())


def _classes() -> Iterator[Rest]:
    def classes(count: object, name: str = "OUTPUT0", **more: object) -> list[dict[str, Any]]:
        return [{"name": name, "parameters": {"classification": count, **more}}]

    scores = _plain([0.5, 1.5, -2, 1e20, 0.1, 0.2, 0.3, 0.4], [2, 4])
    for count in (1, 2, 4, 9):
        yield _infer(f"{count} classes", scores, model="labelled", outputs=classes(count))
    yield _infer("classes in binary", scores, model="labelled", outputs=classes(2, binary_data=True))
    yield _infer("classes without labels", scores, outputs=classes(2))
    yield _infer("classes without a batch", _plain([4, 3, 2, 9], [2, 2]), model="labelled_flat", outputs=classes(3))
    yield _infer(
        "classes of a row of several dimensions", _plain([1, 2, 3, 4], [1, 2, 2]), model="wide", outputs=classes(3)
    )
    yield _infer("no classes", scores, model="labelled", outputs=classes(0))
    yield _infer("classes below none", scores, model="labelled", outputs=classes(-1))
    yield _infer("classes as text", scores, model="labelled", outputs=classes("2"))
    yield _infer("classes as a fraction", scores, model="labelled", outputs=classes(1.5))
    yield _infer("equal classes", _plain([1, 1, 1], [1, 3]), model="labelled", outputs=classes(3))
    scores = {**scores, "name": "IN"}
    yield _infer("classes of an ensemble", scores, model="outside", outputs=classes(2, "OUT"))
    yield _infer("labelled classes of an ensemble", scores, model="outside_labelled", outputs=classes(2, "OUT"))
    for data_type in _CLASSES:
        dtype, values = TYPES[data_type]
        packed = np.array([values], dtype).tobytes()
        given = {
            "name": "INPUT0",
            "shape": [1, 2],
            "datatype": data_type,
            "parameters": {"binary_data_size": len(packed)},
        }
        head = json.dumps({"inputs": [given], "outputs": classes(2)}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        path = f"/v2/models/scores_{data_type.lower()}/infer"
        yield Rest(f"classes of {data_type}", "POST", path, head + packed, headers)


def _alone() -> Iterator[Rest]:
    """Bodies that are nothing but the bytes of the only input."""

    def alone(model: str, body: bytes) -> Rest:
        headers = {"Inference-Header-Content-Length": "0"}
        return Rest(f"{len(body)} bytes for {model}", "POST", f"/v2/models/{model}/infer", body, headers)

    floats = struct.pack("<4f", 1, 2, 3, 4)
    for model in ("echo", "flat", "fixed", "wide", "wider", "two", "words", "square", "scalar"):
        yield alone(model, floats)
        yield alone(model, floats[:8])
    yield alone("echo", floats[:7])
    yield alone("fixed", floats[:4])
    yield alone("square", floats * 2)
    for model in ("word", "word_flat", "pair"):
        yield alone(model, b"a text without its length")
    yield alone("optional", floats)


def _shapes() -> Iterator[Rest]:
    yield _infer("a square", _plain([1, 2, 3, 4], [1, 4]), model="square")
    yield _infer("rows of squares", _plain([1, 2, 3, 4] * 2, [2, 4]), model="square")
    yield _infer("a square in the model's shape", _plain([1, 2, 3, 4], [1, 2, 2]), model="square")
    yield _infer("an open square", _plain([1, 2, 3, 4] * 3, [1, 4, 3]), model="open")
    yield _infer("an open square of nothing", _plain([], [1, 4, 0]), model="open")
    yield _infer("scalars", _plain([1, 2, 3], [3, 1]), model="scalar")
    yield _infer("scalars that come back as arrays", _plain([1, 2, 3], [3, 1]), model="scalar_kept")
    yield _infer("a square without a batch", _plain([1, 2, 3, 4], [4]), model="square_flat")
    yield _infer("classes of a square", _plain([1, 2, 3, 4], [1, 4]), model="square", outputs=[
        {"name": "OUTPUT0", "parameters": {"classification": 2}}
    ])  # fmt: skip
    for model in ("square", "open", "scalar"):
        yield Rest(f"metadata of {model}", "GET", f"/v2/models/{model}")


def _optional() -> Iterator[Rest]:
    needed, may = ({**_plain([1], [1, 1]), "name": name} for name in ("NEEDED", "MAY"))
    might = {**_plain(["x"], [1, 1], "BYTES"), "name": "MIGHT"}
    for model in ("optional", "optional_all"):
        yield _infer(f"{model}: all", needed, may, might, model=model)
        yield _infer(f"{model}: one", needed, model=model)
        yield _infer(f"{model}: one and the last", might, needed, model=model)
        yield _infer(f"{model}: not the first", may, might, model=model)
        yield _infer(f"{model}: none", model=model)
        yield _infer(f"{model}: one nobody knows", needed, {**may, "name": "OTHER"}, model=model)
        yield _infer(f"{model}: too many", needed, may, might, {**may, "name": "OTHER"}, model=model)
        yield _infer(f"{model}: one twice", needed, needed, model=model)
        yield _infer(f"{model}: another batch", needed, {**may, "shape": [2, 1], "data": [1, 2]}, model=model)


def _mistaken(theirs: Any, ours: Any) -> bool:
    return theirs[0] in (500, "INTERNAL") and ours[0] in (400, "INVALID_ARGUMENT")


def _refused(theirs: Any, ours: Any) -> bool:
    return theirs[0] == ours[0] == 400


MEANT = {
    r"REST (system (bad )?register (of )?.*|shared input with .*|output too large|words too large|output without a size|classes .*)|"
    r"gRPC (register .*|memory: shared into a small region)": Meant(
        "what a client says of its memory or wants of it is the client's mistake, not the server's: 400 instead of 500",
        _mistaken,
    ),
    r"REST system (behind .*| status \(again 1\))": Meant(
        "a segment may hold several regions, which begin anywhere; the installed server takes one, from the start",
        lambda theirs, ours: ours[0] == 200 and (not ours[1] or "'offset': 4096" in str(ours)),
    ),
    r"REST shared input that overflows": Meant("the newer server says that the numbers overflow", _refused),
    r"REST \d+ bytes for .*": Meant(
        "the input is called what the model calls it, and not `raw_input`",
        lambda theirs, ours: str(theirs).replace("'raw_input'", "'INPUT0'") == str(ours),
    ),
    r"REST optional: not the first": Meant(
        "a required input that is missing is told; the installed server only counts, and the model gets too few",
        lambda theirs, ours: theirs[0] == 200 and ours[0] == 400 and "['NEEDED']" in str(ours),
    ),
    r"REST optional(_all)?: (too many|another batch)": Meant(
        "inputs are listed and checked as they came; Triton's order is by chance, and it writes `]` for an empty list",
        _refused,
    ),
    r"REST optional_all: none": Meant(
        "where all inputs are optional, a request may have none",
        lambda theirs, ours: theirs[0] == 400 and ours[0] == 200,
    ),
}
