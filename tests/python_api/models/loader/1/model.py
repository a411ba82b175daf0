"""Loads and unloads another model."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            seen = [pb_utils.is_model_ready("auto_complete")]
            pb_utils.load_model(model_name="auto_complete")
            seen.append(pb_utils.is_model_ready("auto_complete", "1"))
            pb_utils.load_model("auto_complete", config=json.dumps({"backend": "python", "max_batch_size": 2}))
            x = pb_utils.Tensor("x", np.ones((1, 1), np.float32))
            answer = pb_utils.InferenceRequest(
                model_name="auto_complete", requested_output_names=["y"], inputs=[x]
            ).exec()
            seen.append(answer.has_error())
            pb_utils.unload_model("auto_complete")
            seen.append(pb_utils.is_model_ready("auto_complete"))
            try:
                pb_utils.load_model("nowhere")
            except pb_utils.TritonModelException as error:
                seen.append("nowhere" in str(error))
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("seen", np.array(seen))]))
        return responses
