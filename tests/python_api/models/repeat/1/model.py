"""Gives every number of its input by itself, after a while, from a thread of its own: as Triton's example does."""

import json
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        if not pb_utils.using_decoupled_model_transaction_policy(config):
            raise pb_utils.TritonModelException("the model `repeat` is to be decoupled")
        self.threads_lock = threading.Lock()
        self.threads = 0

    def execute(self, requests):
        for request in requests:
            arguments = (
                request.get_response_sender(),
                pb_utils.get_input_tensor_by_name(request, "IN").as_numpy(),
                pb_utils.get_input_tensor_by_name(request, "DELAY").as_numpy(),
            )
            thread = threading.Thread(target=self.respond, args=arguments)
            thread.daemon = True
            with self.threads_lock:
                self.threads += 1
            thread.start()
        return None

    def respond(self, sender, numbers, delays):
        for number, delay in zip(numbers, delays, strict=True):
            if sender.is_cancelled():
                break
            time.sleep(delay / 1000)
            output = pb_utils.Tensor("OUT", np.array([number], np.int32))
            if number < 0:
                sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{number} is negative")))
            else:
                sender.send(pb_utils.InferenceResponse([output]))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        with self.threads_lock:
            self.threads -= 1

    def finalize(self):
        while self.threads:
            time.sleep(0.01)
