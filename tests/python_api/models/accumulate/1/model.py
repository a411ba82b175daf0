"""Adds up the numbers of a sequence."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}

    def execute(self, requests):
        responses = []
        for request in requests:
            if request.flags() & pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START:
                self.sums[request.correlation_id()] = 0
            self.sums[request.correlation_id()] += pb_utils.get_input_tensor_by_name(request, "x").as_numpy()[0, 0]
            total = np.array([[self.sums[request.correlation_id()]]], np.float32)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("sum", total)]))
        return responses
