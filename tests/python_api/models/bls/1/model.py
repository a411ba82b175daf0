"""Asks other models, one after the other."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x")
            name = pb_utils.get_input_tensor_by_name(request, "model").as_numpy()[0].decode()
            asked = pb_utils.InferenceRequest(
                request_id=request.request_id(),
                model_name=name,
                requested_output_names=["y"],
                inputs=[x],
                preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
                trace=request.trace(),
                parameters={"from": "bls"},
            )
            answer = asked.exec()
            if answer.has_error():
                responses.append(pb_utils.InferenceResponse(error=answer.error()))
                continue
            y = pb_utils.get_output_tensor_by_name(answer, "y").as_numpy()
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", np.asarray(y + 1))]))
        return responses
