"""Talks to a model with a sequence batcher: it begins a sequence, goes on with it and ends it."""

import numpy as np
import triton_python_backend_utils as pb_utils

START, END = pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START, pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            sums = []
            for number, flags in ((1, START), (2, 0), (3, END)):
                asked = pb_utils.InferenceRequest(
                    model_name="accumulate",
                    requested_output_names=["sum"],
                    inputs=[pb_utils.Tensor("x", np.array([[number]], np.float32))],
                    correlation_id=request.correlation_id() or 42,
                )
                asked.set_flags(flags)
                answer = asked.exec()
                if answer.has_error():
                    raise pb_utils.TritonModelException(answer.error().message())
                sums.append(answer.output_tensors()[0].as_numpy()[0, 0])
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", np.array(sums, np.float32))]))
        return responses
