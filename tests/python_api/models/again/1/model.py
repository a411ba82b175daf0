"""Wants every request to be executed three times before it is answered."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.times = {}

    def execute(self, requests):
        responses = []
        for request in requests:
            times = self.times[request.correlation_id()] = self.times.get(request.correlation_id(), 0) + 1
            if times < 3:
                request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
                responses.append(None)
            else:
                output = pb_utils.Tensor("times", np.array([[times]], np.int32))
                responses.append(pb_utils.InferenceResponse([output]))
                del self.times[request.correlation_id()]
        return responses
