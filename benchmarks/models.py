"""The model repositories that are served."""

from pathlib import Path

TINY = """import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("OUTPUT0", pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy())]
            )
            for request in requests
        ]
"""

FUNCTION = """import windlass
from windlass import Tensor


@windlass.model(max_batch_size=64)
def tiny(INPUT0: Tensor["FP32", 16]) -> {"OUTPUT0": Tensor["FP32", 16]}:
    return {"OUTPUT0": INPUT0}
"""

TINY_CONFIG = """backend: "python"
max_batch_size: 64
input { name: "INPUT0" data_type: TYPE_FP32 dims: 16 }
output { name: "OUTPUT0" data_type: TYPE_FP32 dims: 16 }
dynamic_batching {}
instance_group { kind: KIND_CPU }
"""

# What wrk posts: one row, numbers that are no short decimals.
NUMBERS = ",".join(f"{0.1 + 0.37 * i:.3f}" for i in range(16))
BODY = f'{{"inputs":[{{"name":"INPUT0","shape":[1,16],"datatype":"FP32","data":[[{NUMBERS}]]}}]}}'


def write_tiny(folder: Path, *, function: bool = False) -> Path:
    """Write the tiny model; the same file for Triton and windlass. With ``function``, windlass' own form beside it."""
    (folder / "tiny" / "1").mkdir(parents=True)
    (folder / "tiny" / "1" / "model.py").write_text(TINY)
    (folder / "tiny" / "config.pbtxt").write_text(TINY_CONFIG)
    if function:
        (folder / "function" / "1").mkdir(parents=True)
        (folder / "function" / "1" / "model.py").write_text(FUNCTION)
    return folder


def write(repository: Path, name: str, source: str, config: str) -> None:
    """Write a model of that name; one without a source is made of others."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    if source:
        (version / "model.py").write_text(source)
    (repository / name / "config.pbtxt").write_text(config)
