"""Doubles numbers; its configuration is all in the code."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(auto_complete_model_config):
        inputs = [
            {"name": "x", "data_type": "TYPE_FP32", "dims": [-1]},
            {"name": "by", "data_type": "TYPE_FP32", "dims": [1]},
        ]
        outputs = [{"name": "y", "data_type": "TYPE_FP32", "dims": [-1]}]
        config = auto_complete_model_config.as_dict()
        input_names = [given["name"] for given in config["input"]]
        output_names = [given["name"] for given in config["output"]]
        for given in inputs:
            if given["name"] not in input_names:
                auto_complete_model_config.add_input({**given, "optional": given["name"] == "by"})
        for given in outputs:
            if given["name"] not in output_names:
                auto_complete_model_config.add_output(given)
        auto_complete_model_config.set_max_batch_size(8)
        auto_complete_model_config.set_dynamic_batching()
        auto_complete_model_config.set_model_transaction_policy({"decoupled": False})
        return auto_complete_model_config

    def execute(self, requests):
        responses = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            by = pb_utils.get_input_tensor_by_name(request, "by")
            factor = np.float32(2) if by is None else by.as_numpy()
            responses.append(pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("y", x * factor)]))
        return responses
