"""Writes to the server's log whenever it can."""

import sys

import triton_python_backend_utils as pb_utils

pb_utils.Logger.log_info("logs: imported")


class TritonPythonModel:
    def initialize(self, args):
        self.logger = pb_utils.Logger
        self.logger.log_warn(f"logs: initialised as {args['model_instance_name']}")

    def execute(self, requests):
        self.logger.log_error("logs: executed")
        self.logger.log_verbose("logs: in detail")
        self.logger.log("logs: in general")
        self.logger.log("logs: at a level", self.logger.ERROR)
        print("logs: printed", flush=True)
        print("logs: complained", file=sys.stderr, flush=True)
        return [pb_utils.InferenceResponse(request.inputs()) for request in requests]

    def finalize(self):
        self.logger.log_info("logs: said goodbye")
