"""Hands work to processes and threads of its own, and ends them at the end."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import square
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.forked = multiprocessing.get_context("fork").Pool(2)
        self.spawned = multiprocessing.get_context("spawn").Pool(1)
        self.threads = ThreadPoolExecutor(2)
        self.program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

    def execute(self, requests):
        responses = []
        for request in requests:
            numbers = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            squares = self.forked.map(square.square, numbers.tolist())
            squares = self.spawned.map(square.square, squares)
            squares = list(self.threads.map(square.square, squares))
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", np.array(squares, np.float32))]))
        return responses

    def finalize(self):
        self.program.terminate()
        self.program.wait(10)
        for pool in (self.forked, self.spawned):
            pool.terminate()
            pool.join()
        pb_utils.Logger.log_info("pool: all ended")
