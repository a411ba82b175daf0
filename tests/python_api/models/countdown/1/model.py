"""Counts down, one step for each execution: it puts its request back until it is done."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.left = {}

    def execute(self, requests):
        for request in requests:
            sequence = request.correlation_id()
            sender = request.get_response_sender()
            if request.flags() & pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START:
                self.left[sequence] = int(pb_utils.get_input_tensor_by_name(request, "from").as_numpy()[0, 0])
            number = self.left[sequence]
            self.left[sequence] = number - 1
            response = pb_utils.InferenceResponse([pb_utils.Tensor("number", np.array([[number]], np.int32))])
            if number > 0:
                sender.send(response)
                request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
            else:
                sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
                del self.left[sequence]
        return None
