"""What ONNX Runtime is asked to execute on, from a model's execution accelerators. A function of values."""

from collections.abc import Mapping
from typing import Any

from windlass.config import ModelConfig

Provider = tuple[str, dict[str, Any]]

TENSORRT = "tensorrt"
# What TensorRT's provider calls parameters that have other names in configurations; its own names go as they are.
_OPTIONS = {
    "max_workspace_size_bytes": "trt_max_workspace_size",
    "minimum_subgraph_size": "trt_min_subgraph_size",
    "int8_calibration_table_name": "trt_int8_calibration_table_name",
}
_PRECISIONS = {
    "FP32": {},
    "FP16": {"trt_fp16_enable": "1"},
    "BF16": {"trt_bf16_enable": "1"},
    "INT8": {"trt_int8_enable": "1"},
}


def providers(config: ModelConfig, kind: str, device: int) -> list[Provider]:
    """Return what executes instances on a device, the preferred first; what one cannot execute goes to the next."""
    if kind != "GPU":
        return [("CPUExecutionProvider", {})]
    cuda: Provider = ("CUDAExecutionProvider", {"device_id": device})
    for accelerator in config.optimization.execution_accelerators.gpu_execution_accelerator:
        if accelerator.name == TENSORRT:
            return [("TensorrtExecutionProvider", {"device_id": device, **_tensorrt(accelerator.parameters)}), cuda]
    return [cuda]


def unknown(config: ModelConfig) -> list[str]:
    """Return the accelerators that are asked for and not offered."""
    asked = config.optimization.execution_accelerators
    names = [given.name for given in (*asked.gpu_execution_accelerator, *asked.cpu_execution_accelerator)]
    return [name for name in names if name not in (TENSORRT, "cuda")]


def _tensorrt(parameters: Mapping[str, str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parameters.items():
        if name == "precision_mode":
            options |= _PRECISIONS.get(value.upper(), {})
        elif name.startswith("trt_") or name in _OPTIONS:
            options[_OPTIONS.get(name, name)] = value
    return options
