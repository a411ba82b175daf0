"""Computes with torch: tensors go there and back by DLPack, bfloat16 among them."""

import torch
import triton_python_backend_utils as pb_utils
from torch.utils.dlpack import from_dlpack, to_dlpack


class TritonPythonModel:
    def initialize(self, args):
        self.layer = torch.nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))

    @torch.no_grad()
    def execute(self, requests):
        responses = []
        for request in requests:
            given = pb_utils.get_input_tensor_by_name(request, "x")
            assert given.is_cpu() and given.__dlpack_device__() == (1, 0)
            x = from_dlpack(given.to_dlpack())
            y = self.layer(torch.from_dlpack(given))
            responses.append(
                pb_utils.InferenceResponse(
                    [
                        pb_utils.Tensor.from_dlpack("y", to_dlpack(y)),
                        pb_utils.Tensor.from_dlpack("transposed", x.T),
                        pb_utils.Tensor.from_dlpack("half", y.to(torch.bfloat16)),
                    ]
                )
            )
        return responses
