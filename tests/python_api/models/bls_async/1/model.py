"""Asks a model many times at once, and adds the answers up."""

import asyncio

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    async def execute(self, requests):
        responses = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            questions = [
                pb_utils.InferenceRequest(
                    model_name="auto_complete", requested_output_names=["y"], inputs=[pb_utils.Tensor("x", x * n)]
                ).async_exec()
                for n in range(5)
            ]
            answers = await asyncio.gather(*questions)
            for answer in answers:
                if answer.has_error():
                    raise pb_utils.TritonModelException(answer.error().message())
            total = sum(pb_utils.get_output_tensor_by_name(answer, "y").as_numpy() for answer in answers)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", total.astype(np.float32))]))
        return responses
