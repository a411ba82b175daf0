"""Reads the answers of a decoupled model, and hands them on as they come."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            asked = pb_utils.InferenceRequest(
                model_name="repeat", requested_output_names=["OUT"], inputs=request.inputs()
            )
            for answer in asked.exec(decoupled=True):
                if answer.has_error():
                    sender.send(pb_utils.InferenceResponse(error=answer.error()))
                elif len(answer.output_tensors()) > 0:
                    out = pb_utils.get_output_tensor_by_name(answer, "OUT").as_numpy()
                    sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", out * 10)]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        return None
