"""Adds up what a decoupled model answers, as a coroutine."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    async def execute(self, requests):
        responses = []
        for request in requests:
            asked = pb_utils.InferenceRequest(
                model_name="repeat", requested_output_names=["OUT"], inputs=request.inputs()
            )
            total = 0
            for answer in await asked.async_exec(decoupled=True):
                if answer.has_error():
                    raise pb_utils.TritonModelException(answer.error().message())
                for tensor in answer.output_tensors():
                    total += int(tensor.as_numpy()[0])
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([total], np.int32))]))
        return responses
