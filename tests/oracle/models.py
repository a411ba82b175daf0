"""The models of the first questions: one that hands on what it is given, for every data type, and some that do not."""

from pathlib import Path

from oracle.cases import TYPES

MODEL = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            array = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", array)]))
        return answers
"""

RAISES = """
class TritonPythonModel:
    def initialize(self, args):
        self.name = args["model_instance_name"]

    def execute(self, requests):
        raise ValueError(f"{self.name} says no")
"""


def write_models(folder: Path) -> None:
    def add(name: str, data_type: str, dims: str = "-1", batch: int = 8, more: str = "") -> None:
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "1" / "model.py").write_text(MODEL)
        inputs = "".join(
            f'input {{ name: "{i}" data_type: {data_type} dims: {dims} }}\n' for i in ("INPUT0", *more.split())
        )
        (folder / name / "config.pbtxt").write_text(
            f'backend: "python" max_batch_size: {batch}\n{inputs}'
            f'output {{ name: "OUTPUT0" data_type: {data_type} dims: {dims} }}\ninstance_group {{ kind: KIND_CPU }}\n'
        )

    for data_type in TYPES:
        add(data_type.lower(), f"TYPE_{data_type}")
    add("string", "TYPE_STRING")
    add("raises", "TYPE_FP32")
    (folder / "raises" / "1" / "model.py").write_text(RAISES)
    add("spare", "TYPE_FP32")
    add("flat", "TYPE_FP32", batch=0)
    add("fixed", "TYPE_FP32", dims="2")
    add("two", "TYPE_FP32", more="INPUT1")
