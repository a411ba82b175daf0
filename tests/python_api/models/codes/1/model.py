"""Fails with the code that it is asked for."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            wanted = pb_utils.get_input_tensor_by_name(request, "code").as_numpy()[0].decode()
            if wanted == "raise":
                raise pb_utils.TritonModelException("I do not feel like it")
            if wanted == "fine":
                done = pb_utils.Tensor("done", np.array([b"fine"], dtype=np.object_))
                responses.append(pb_utils.InferenceResponse(output_tensors=[done]))
                continue
            error = pb_utils.TritonError(f"failed as asked: {wanted}", getattr(pb_utils.TritonError, wanted))
            responses.append(pb_utils.InferenceResponse(output_tensors=[], error=error))
        return responses
