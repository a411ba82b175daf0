"""Models for what streams: one that says what it saw, and one that answers as often as its request says."""

# Says every input it got, the parameters and what else can be seen of the request.
_SEES = """
import json

import numpy as np
import triton_python_backend_utils as pb_utils


def plain(array):
    return [x.decode(errors="replace") if isinstance(x, bytes) else x for x in array.ravel().tolist()]


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        inputs = {t.name(): [t.as_numpy().dtype.name, list(t.shape()), plain(t.as_numpy())] for t in request.inputs()}
        parameters = sorted(json.loads(request.parameters() or "{}").items())
        rest = [request.request_id(), request.correlation_id(), request.flags(), request.timeout(), sorted(request.requested_output_names())]
        said = json.dumps([sorted(inputs.items()), parameters, rest])
        return pb_utils.InferenceResponse([pb_utils.Tensor("SAID", np.array([said], dtype=object).reshape(SHAPE))])
"""

# Gives every input back under the name of an output.
_RETURNS = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(t.name().lower(), t.as_numpy()) for t in request.inputs()])
            for request in requests
        ]
"""

# Follows a script: one word after the other.
_TELLS = """
import threading

import numpy as np
import triton_python_backend_utils as pb_utils


ODD = {"latin": b"caf\\xe9", "zero": b"a\\0b", "emoji": "\U0001f600".encode(), "control": b"\\x01\\t\\x7f", "cut": b"\\xe2\\x82"}


def said(word):
    return pb_utils.InferenceResponse([pb_utils.Tensor("SAID", np.array([word], dtype=object))])


def failure(word):
    code, _, text = word.partition("=")
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(text, getattr(pb_utils.TritonError, code)))


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            words = [word.decode() for word in pb_utils.get_input_tensor_by_name(request, "WORDS").as_numpy().ravel()]
            if words[:1] == ["raise"]:
                raise ValueError("no words")
            arguments = request.get_response_sender(), words
            if words[:1] == ["thread"]:
                threading.Thread(target=self.tell, args=arguments).start()
            else:
                self.tell(*arguments)

    def tell(self, sender, words):
        for word in words:
            kind, _, rest = word.partition(":")
            if kind == "fail":
                sender.send(failure(rest))
            elif kind == "last":
                sender.send(said(rest), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
                return
            elif kind == "lastfail":
                sender.send(failure(rest), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
                return
            elif kind == "odd":
                sender.send(said(ODD[rest]))
            elif kind == "empty":
                sender.send(pb_utils.InferenceResponse([]))
            elif kind not in ("thread",):
                sender.send(said(word))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

_RAISES = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        raise pb_utils.TritonModelException("never")
"""


def _tensor(kind: str, name: str, data_type: str, dims: str, more: str = "") -> str:
    return f'{kind} {{ name: "{name}" data_type: TYPE_{data_type} dims: {dims} {more} }}\n'


def _optional(**inputs: tuple[str, str]) -> str:
    return "".join(_tensor("input", name, *given, "optional: true") for name, given in inputs.items())


_SAID = _tensor("output", "SAID", "STRING", "[ 1 ]")
_MANY = _optional(
    text=("STRING", "[ 1 ]"),
    words=("STRING", "[ -1 ]"),
    number=("INT32", "[ 1 ]"),
    small=("UINT8", "[ -1 ]"),
    big=("UINT64", "[ 1 ]"),
    fraction=("FP32", "[ -1 ]"),
    flag=("BOOL", "[ 1 ]"),
    half=("FP16", "[ 1 ]"),
    rows=("FP32", "[ -1, 2 ]"),
    both=("FP32", "[ -1, -1 ]"),
    pair=("FP32", "[ 2 ]"),
)
_TYPES = ["BOOL", "UINT8", "UINT64", "INT8", "INT64", "FP32", "FP64", "STRING"]
_RETURNED = "".join(
    _tensor("input", name, name, "[ -1 ]", "optional: true") + _tensor("output", name.lower(), name, "[ -1 ]")
    for name in _TYPES
)
_HALF = _tensor("input", "HALF", "STRING", "[ 1 ]") + _tensor("output", "half", "FP16", "[ 1 ]")
_CLASHES = "".join(
    _tensor("input", name.upper(), "STRING", "[ 1 ]", "optional: true") + _tensor("output", name, "STRING", "[ 1 ]")
    for name in ("id", "model_name", "zebra")
)
_WORDS = _tensor("input", "WORDS", "STRING", "[ -1 ]") + _SAID
_DECOUPLED = "model_transaction_policy { decoupled: true }"
_RETURNS_HALF = _RETURNS.replace("t.name().lower(), t.as_numpy()", '"half", np.ones(1, np.float16)')

# Source and configuration by name.
MODELS = {
    "sees": (_SEES.replace("SHAPE", "1"), _MANY + _SAID),
    "batches": (_SEES.replace("SHAPE", "(1, 1)"), "max_batch_size: 4\n" + _MANY + _SAID),
    "returns": (_RETURNS, _RETURNED),
    "half": ("import numpy as np\n" + _RETURNS_HALF, _HALF),
    "clashes": (_RETURNS, _CLASHES),
    "nested": (_SEES.replace("SHAPE", "1"), _tensor("input", "parameters", "STRING", "[ 1 ]") + _SAID),
    "raises": (_RAISES, _WORDS),
    "tells": (_TELLS, _WORDS + _DECOUPLED),
    "outside": (
        "",
        'platform: "ensemble" '
        + _WORDS
        + 'ensemble_scheduling { step [ { model_name: "tells" model_version: -1 input_map { key: "WORDS" value: "WORDS" } '
        + 'output_map { key: "SAID" value: "SAID" } } ] }',
    ),
}
