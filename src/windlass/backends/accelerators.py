"""What ONNX Runtime is asked to execute on, from a model's execution accelerators. A function of values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from windlass.config import ModelConfig

Provider = tuple[str, dict[str, Any]]

TENSORRT = "tensorrt"
PROVIDER = "TensorrtExecutionProvider"
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
            return [(PROVIDER, {"device_id": device, **_tensorrt(accelerator.parameters)}), cuda]
    return [cuda]


def keeping(providers: list[Provider], folder: Path | None) -> list[Provider]:
    """Return the same with TensorRT's engines, which take minutes to build, kept in a folder if there is one."""
    if folder is None:
        return providers
    kept = {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }
    # What a configuration says of keeping counts.
    return [(name, kept | options if name == PROVIDER else options) for name, options in providers]


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
