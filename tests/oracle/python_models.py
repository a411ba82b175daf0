"""Models of which the code of the request is the behaviour: one answer each, or any number."""

HEAD = """
import asyncio
import json
import threading

import numpy as np
import triton_python_backend_utils as pb_utils


def tensor(*lines):
    return pb_utils.Tensor("SAID", np.array([str(line).encode() for line in lines], dtype=object))


def said(*lines, **more):
    return pb_utils.InferenceResponse([tensor(*lines)], **more)


def tried(work):
    try:
        return work()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def ask(model, *arrays, names=("y",), **more):
    inputs = [pb_utils.Tensor("x", array) for array in arrays]
    return pb_utils.InferenceRequest(model_name=model, requested_output_names=list(names), inputs=inputs, **more)


def ask_code(model, code, **more):
    inputs = [pb_utils.Tensor("CODE", np.array([code.encode()], dtype=object))]
    return pb_utils.InferenceRequest(model_name=model, requested_output_names=["SAID"], inputs=inputs, **more)


def told(response):
    if response.has_error():
        return "error " + response.error().message()
    tensors = response.output_tensors()
    return tensors[0].as_numpy().tolist() if tensors else "empty"


ONE = np.array([1.5, 2.0], np.float32)
"""

BODY = """
    def initialize(self, args):
        self.args = args

    def names(self, requests):
        code = pb_utils.get_input_tensor_by_name(requests[0], "CODE").as_numpy().ravel()[0].decode()
        names = {**globals(), "self": self, "requests": requests, "request": requests[0]}
        return code, names
"""

# The code sets `out`, what is said, or `answer`, what is returned as it is.
API = (
    HEAD
    + "\n\nclass TritonPythonModel:"
    + BODY
    + """
    def execute(self, requests):
        code, names = self.names(requests)
        exec(code, names)
        return names["answer"] if "answer" in names else [said(names.get("out"))]
"""
)

# The code sends what it likes; it may set `answer`, what is returned.
MANY = (
    HEAD
    + "\n\nclass TritonPythonModel:"
    + BODY
    + """
    def execute(self, requests):
        code, names = self.names(requests)
        names["sender"] = requests[0].get_response_sender()
        exec(code, names)
        return names.get("answer")
"""
)

ASYNC = (
    HEAD
    + "\n\nclass TritonPythonModel:"
    + BODY
    + """
    async def execute(self, requests):
        code, names = self.names(requests)
        exec("async def work():\\n" + "\\n".join("    " + line for line in code.splitlines()), names)
        return [said(await names["work"]())]
"""
)

# Asks the decoupled model, and says all that it answered.
COLLECT = (
    HEAD
    + "\n\nclass TritonPythonModel:"
    + BODY
    + """
    def execute(self, requests):
        code, _ = self.names(requests)
        return [said(*[told(response) for response in ask_code("many", code).exec(decoupled=True)])]
"""
)

DOUBLE = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            array = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            if array.sum() < 0:
                error = pb_utils.TritonError("no negative numbers", pb_utils.TritonError.INVALID_ARG)
                answers.append(pb_utils.InferenceResponse(error=error))
            else:
                answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", array * 2)]))
        return answers
"""

_TEXT = 'input { name: "CODE" data_type: TYPE_STRING dims: 1 } output { name: "SAID" data_type: TYPE_STRING dims: -1 }'
_NUMBERS = 'input { name: "x" data_type: TYPE_FP32 dims: -1 } output { name: "y" data_type: TYPE_FP32 dims: -1 }'

# Source and configuration by name.
MODELS = {
    "api": (API, _TEXT),
    "async": (ASYNC, _TEXT),
    "many": (MANY, f"{_TEXT} model_transaction_policy {{ decoupled: true }}"),
    "collect": (COLLECT, _TEXT),
    "double": (DOUBLE, _NUMBERS),
}
