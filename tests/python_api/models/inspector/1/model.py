"""Tells what it was given: when it was made ready, and with the request."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.args = dict(args)
        self.model_config = json.loads(args["model_config"])
        self.output_type = pb_utils.triton_string_to_numpy(
            pb_utils.get_output_config_by_name(self.model_config, "told")["data_type"]
        )

    def execute(self, requests):
        responses = []
        for request in requests:
            told = {
                "args": {name: value for name, value in self.args.items() if name != "model_config"},
                "batch": self.model_config["max_batch_size"],
                "folder": pb_utils.get_model_dir(),
                "id": request.request_id(),
                "correlation": request.correlation_id(),
                "flags": request.flags(),
                "timeout": request.timeout(),
                "parameters": json.loads(request.parameters()),
                "wanted": sorted(request.requested_output_names()),
                "inputs": [[given.name(), list(given.shape()), given.triton_dtype()] for given in request.inputs()],
                "cancelled": request.is_cancelled(),
            }
            told = np.array([[json.dumps(told)]], dtype=self.output_type)
            outputs = [pb_utils.Tensor("told", told), pb_utils.Tensor("more", np.zeros((1, 1), np.int32))]
            responses.append(pb_utils.InferenceResponse(outputs, parameters={"text": "a", "number": 7, "truth": True}))
        return responses
