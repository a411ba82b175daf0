"""The models of what is asked about sequences, queues, tensors, memory and ensembles; one repository for all of them."""

from pathlib import Path

ECHO = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            arrays = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            array = arrays["INPUT0"] if "INPUT0" in arrays else list(arrays.values())[0]
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", array)]))
        return answers
"""

# Says which inputs it was given.
NAMES = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        said = (sorted((t.name(), list(t.shape()), t.as_numpy().tolist()) for t in request.inputs()) for request in requests)
        texts = (np.array([[str(one)]], dtype=object) for one in said)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", text)]) for text in texts]
"""

# Takes its time: long enough for others to come meanwhile.
SLOW = """
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        time.sleep(0.6)
        arrays = [pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", array)]) for array in arrays]
"""

RAISES = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        error = pb_utils.TritonError("not today", pb_utils.TritonError.UNAVAILABLE)
        return [pb_utils.InferenceResponse(error=error) for _ in requests]
"""


def _one(kind: str, name: str, data_type: str, dims: str, more: str = "") -> str:
    return f'{kind} {{ name: "{name}" data_type: TYPE_{data_type} dims: [ {dims} ] {more} }}\n'


def _echo(data_type: str = "FP32", dims: str = "-1", batch: int = 4, output: str = "", more: str = "") -> str:
    tensors = _one("input", "INPUT0", data_type, dims) + _one("output", "OUTPUT0", data_type, dims, output)
    return f"max_batch_size: {batch}\n{tensors}{more}"


def _ensemble(*steps: str, dims: str = "-1") -> str:
    tensors = _one("input", "INPUT0", "FP32", dims) + _one("output", "OUTPUT0", "FP32", dims)
    return f'platform: "ensemble" max_batch_size: 4\n{tensors}ensemble_scheduling {{ {"".join(steps)} }}'


def _step(model: str, given: str, made: str) -> str:
    return (
        f'step {{ model_name: "{model}" model_version: -1 input_map {{ key: "INPUT0" value: "{given}" }} '
        f'output_map {{ key: "OUTPUT0" value: "{made}" }} }}\n'
    )


def _sequences(batching: str, id_type: str = "UINT64") -> str:
    control = 'control_input {{ name: "{}" control {{ kind: CONTROL_SEQUENCE_{} {} }} }}\n'
    flags = "int32_false_true: [ 0, 1 ]"
    controls = "".join(
        [
            control.format("START", "START", flags),
            control.format("END", "END", flags),
            control.format("READY", "READY", flags),
            control.format("CORRID", "CORRID", f"data_type: TYPE_{id_type}"),
        ]
    )
    tensors = _one("input", "INPUT0", "FP32", "1") + _one("output", "OUTPUT0", "STRING", "1")
    idle = "max_sequence_idle_microseconds: 60000000"
    return f"max_batch_size: 4\n{tensors}sequence_batching {{ {idle} {batching}\n{controls} }}"


def _queue(policy: str) -> str:
    return _echo(batch=1, more=f"dynamic_batching {{ default_queue_policy {{ {policy} }} }}")


_OPTIONAL = "".join(
    [
        _one("input", "INPUT0", "FP32", "-1"),
        _one("input", "A", "FP32", "-1", "optional: true"),
        _one("output", "OUTPUT0", "STRING", "1"),
    ]
)
_REQUIRED = _OPTIONAL.replace("optional: true", "")

MODELS: dict[str, tuple[str, str]] = {
    "echo": (ECHO, _echo()),
    "labelled": (ECHO, _echo(output='label_filename: "labels.txt"')),
    "flat": (ECHO, _echo(batch=0)),
    "single": (ECHO, _echo(dims="1")),
    "two_open": (ECHO, _echo(dims="-1, -1")),
    **{name.lower(): (ECHO, _echo(name)) for name in ("INT32", "UINT8", "INT64", "FP64", "FP16", "BOOL", "STRING")},
    "text": (ECHO, _echo("STRING", "1")),
    "reshaped": (
        NAMES,
        "max_batch_size: 4\n"
        + _one("input", "INPUT0", "FP32", "4", "reshape { shape: [ 2, 2 ] }")
        + _one("output", "OUTPUT0", "STRING", "1"),
    ),
    "scalars": (
        NAMES,
        "max_batch_size: 4\n"
        + _one("input", "INPUT0", "FP32", "1", "reshape { shape: [ ] }")
        + _one("output", "OUTPUT0", "STRING", "1"),
    ),
    "optional": (NAMES, f"max_batch_size: 4\n{_OPTIONAL}"),
    "required": (NAMES, f"max_batch_size: 4\n{_REQUIRED}"),
    "direct": (NAMES, _sequences("direct {}")),
    "oldest": (NAMES, _sequences("oldest { max_candidate_sequences: 4 }")),
    "named": (NAMES, _sequences("direct {}", "STRING")),
    "queue": (SLOW, _queue("max_queue_size: 1")),
    "hurry": (SLOW, _queue("default_timeout_microseconds: 100000")),
    "patience": (SLOW, _queue("timeout_action: DELAY default_timeout_microseconds: 100000")),
    "override": (SLOW, _queue("default_timeout_microseconds: 60000000 allow_timeout_override: true")),
    "levels": (ECHO, _echo(more="dynamic_batching { priority_levels: 3 default_priority_level: 2 }")),
    "raises": (RAISES, _echo()),
    "chain": ("", _ensemble(_step("echo", "INPUT0", "middle"), _step("echo", "middle", "OUTPUT0"))),
    "above": ("", _ensemble(_step("chain", "INPUT0", "middle"), _step("echo", "middle", "OUTPUT0"))),
    "fails": ("", _ensemble(_step("echo", "INPUT0", "middle"), _step("raises", "middle", "OUTPUT0"))),
    "deep": ("", _ensemble(_step("fails", "INPUT0", "middle"), _step("echo", "middle", "OUTPUT0"))),
    "picky": ("", _ensemble(_step("echo", "INPUT0", "middle"), _step("single", "middle", "OUTPUT0"))),
}


def write_models(folder: Path) -> None:
    """Write the repository."""
    for name, (source, config) in MODELS.items():
        (folder / name / "1").mkdir(parents=True)
        if source:
            (folder / name / "1" / "model.py").write_text(source)
            config = f'backend: "python" instance_group {{ kind: KIND_CPU }} {config}'
        (folder / name / "config.pbtxt").write_text(config)
    (folder / "labelled" / "labels.txt").write_text("nothing\none\ntwo\n")
