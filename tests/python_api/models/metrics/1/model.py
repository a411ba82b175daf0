"""Counts in metrics of its own."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        labels = {"model": args["model_name"], "version": args["model_version"]}
        self.calls_family = pb_utils.MetricFamily(
            name="model_calls", description="Calls of the model", kind=pb_utils.MetricFamily.COUNTER
        )
        self.calls = self.calls_family.Metric(labels=labels)
        self.level_family = pb_utils.MetricFamily("model_level", "What it saw last", pb_utils.MetricFamily.GAUGE)
        self.level = self.level_family.Metric(labels=labels)
        self.sizes_family = pb_utils.MetricFamily("model_sizes", "Sizes", pb_utils.MetricFamily.HISTOGRAM)
        self.sizes = self.sizes_family.Metric(labels=labels, buckets=[1.0, 10.0])

    def execute(self, requests):
        responses = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            self.calls.increment(1)
            self.level.set(float(x[0]))
            self.sizes.observe(float(x[0]))
            seen = np.array([self.calls.value(), self.level.value()], np.float32)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("seen", seen)]))
        return responses
