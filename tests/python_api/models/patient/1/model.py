"""Works until its client goes away, and notes how it ended."""

import time
from pathlib import Path

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.note = Path(args["model_repository"]) / "ended"

    def execute(self, requests):
        for request in requests:
            self.note.with_name("began").touch()
            until = time.monotonic() + 20
            while time.monotonic() < until and not request.is_cancelled():
                time.sleep(0.005)
            self.note.write_text("cancelled" if request.is_cancelled() else "in vain")
        error = pb_utils.TritonError("nobody waits", pb_utils.TritonError.CANCELLED)
        return [pb_utils.InferenceResponse(error=error) for _ in requests]
