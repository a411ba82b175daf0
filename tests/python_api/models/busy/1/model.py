"""Computes in Python, and does not let go of the interpreter for a moment, while a file of that name is not there."""

import sys
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

HERE = Path(__file__).parent


class TritonPythonModel:
    def initialize(self, args):
        self.name = args["model_instance_name"]

    def execute(self, requests):
        responses = []
        for request in requests:
            if pb_utils.get_input_tensor_by_name(request, "x").as_numpy()[0] == 1:
                sys.setswitchinterval(600)
                HERE.joinpath("began").touch()
                while not HERE.joinpath("enough").exists():
                    sum(range(1000))
            name = np.array([self.name.encode()], dtype=np.object_)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("name", name)]))
        return responses
