"""Answers through the sender, from another thread after execute has returned, though it is not decoupled."""

import threading

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            y = pb_utils.Tensor("y", pb_utils.get_input_tensor_by_name(request, "x").as_numpy() + 1)
            arguments = (request.get_response_sender(), pb_utils.InferenceResponse([y]))
            threading.Thread(target=self.respond, args=arguments).start()
        return [None for _ in requests]

    def respond(self, sender, response):
        sender.send(response)
        try:
            sender.send(response)
        except pb_utils.TritonModelException:
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
