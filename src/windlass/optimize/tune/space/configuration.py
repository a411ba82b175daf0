"""A candidate as a ``config.pbtxt``: what it says, and nothing that the model's own configuration said otherwise."""

from collections.abc import Callable

from google.protobuf import text_format

from windlass.backends.threads import pool
from windlass.config import ModelConfig
from windlass.config.model_config_pb2 import ModelInstanceGroup
from windlass.optimize.tune.space.candidate import Candidate, Layout, Variant

# OpenVINO's words for the precisions it computes in.
_HINTS = {"": "f32", "fp32": "f32", "bf16": "bf16", "f16": "f16"}


def configured(base: ModelConfig, candidate: Candidate) -> ModelConfig:
    """Return the configuration of an artefact with the settings of a candidate.

    ``max_batch_size`` only ever grows: what clients may send today they may send tomorrow.
    """
    config = ModelConfig()
    config.CopyFrom(base)
    if candidate.layout is None or candidate.batching is None:
        return config
    config.backend = candidate.variant.engine
    config.ClearField("platform")
    _place(config, candidate.variant, candidate.layout)
    _ENGINES.get(candidate.variant.engine, _nothing)(config, candidate.variant, candidate.layout)
    _batch(config, candidate)
    return config


def text(config: ModelConfig) -> str:
    """Return the text of a configuration."""
    return text_format.MessageToString(config)


def _place(config: ModelConfig, variant: Variant, layout: Layout) -> None:
    kind = ModelInstanceGroup.KIND_CPU if variant.device == "cpu" else ModelInstanceGroup.KIND_GPU
    del config.instance_group[:]
    config.instance_group.add(count=layout.instances, kind=kind)


def _batch(config: ModelConfig, candidate: Candidate) -> None:
    batching = candidate.batching
    assert batching is not None
    if config.WhichOneof("scheduling_choice") == "sequence_batching" or config.max_batch_size == 0:
        return
    config.ClearField("dynamic_batching")
    config.max_batch_size = max(config.max_batch_size, batching.size)
    if batching.size > 1:
        config.dynamic_batching.preferred_batch_size.append(batching.size)
        config.dynamic_batching.max_queue_delay_microseconds = batching.delay_us


def _nothing(config: ModelConfig, variant: Variant, layout: Layout) -> None:
    """Engines that are not ours have settings of their own."""


def _openvino(config: ModelConfig, variant: Variant, layout: Layout) -> None:
    _set(config, "INFERENCE_PRECISION_HINT", _HINTS[variant.compute])
    # For all streams together, of which each instance is one.
    _set(config, "INFERENCE_NUM_THREADS", str(layout.threads * layout.instances))


def _onnxruntime(config: ModelConfig, variant: Variant, layout: Layout) -> None:
    if layout.threads:
        # Instances share one pool, whose threads help whichever of them computes.
        _set(config, "intra_op_thread_count", str(pool(layout.threads * layout.instances, layout.instances)))
    if variant.device == "tensorrt":
        accelerator = config.optimization.execution_accelerators.gpu_execution_accelerator.add(name="tensorrt")
        accelerator.parameters["precision_mode"] = "FP16" if variant.compute == "fp16" else "FP32"


def _pytorch(config: ModelConfig, variant: Variant, layout: Layout) -> None:
    del variant
    if layout.threads:
        _set(config, "INTRA_OP_THREAD_COUNT", str(layout.threads))


_ENGINES: dict[str, Callable[[ModelConfig, Variant, Layout], None]] = {
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
    "pytorch": _pytorch,
}


def _set(config: ModelConfig, name: str, value: str) -> None:
    config.parameters[name].string_value = value
