"""What a configuration must satisfy, in the words users of the protocol know. All findings, not the first."""

from collections.abc import Iterator

from windlass.config.check import Finding
from windlass.config.ensemble import ensemble_faults, is_ensemble
from windlass.config.executed import as_executed
from windlass.config.model import PLATFORMS
from windlass.config.model_config_pb2 import (
    ModelConfig,
    ModelDynamicBatching,
    ModelInput,
    ModelInstanceGroup,
    ModelOutput,
    ModelQueuePolicy,
)
from windlass.config.ragged import ragged_faults
from windlass.config.sequences import sequence_faults

_DIMENSION = "dimension must be integer >= 1, or -1 to indicate a variable-size dimension"
_RESHAPE = "reshape dimensions must be integer >= 1, or -1 to indicate a variable-size dimension"


def validate(config: ModelConfig, where: str) -> list[Finding]:
    """Check a normalised configuration; ``where`` is its file, for the findings."""
    faults = [Finding(where, message) for message in _faults(config)]
    return faults + [Finding(where, message, severity="warning") for message in _oddities(config)]


def _faults(config: ModelConfig) -> Iterator[str]:
    yield from _model(config)
    for input_ in config.input:
        yield from (_prefixed("input", input_, fault, config) for fault in _tensor(input_, config.max_batch_size))
        if input_.format != ModelInput.FORMAT_NONE and len(input_.dims) != 3:
            yield f"model input NHWC/NCHW require 3 dims for {config.name}"
    for output in config.output:
        yield from (_prefixed("output", output, fault, config) for fault in _tensor(output, config.max_batch_size))
    if any(tensor.is_shape_tensor for tensors in (config.input, config.output) for tensor in tensors):
        yield f"shape tensors are only supported for TensorRT platform for {config.name}"
    yield from (f"{fault} for {config.name}" for fault in ragged_faults(config))
    yield from _batching(config)
    yield from sequence_faults(config)
    for group in () if is_ensemble(config) else config.instance_group:
        yield from (f"instance group {group.name} of model {config.name} {fault}" for fault in _instances(group))
    yield from ensemble_faults(config)
    yield from _cache(config)


def _model(config: ModelConfig) -> Iterator[str]:
    if not config.name:
        yield "model configuration must specify 'name'"
    if not config.platform and not config.backend:
        yield f"must specify 'platform' or 'backend' for '{config.name}'"
    expected = PLATFORMS.get(config.platform)
    if config.platform and expected and config.backend != expected:
        yield f"unexpected 'platform' and 'backend' pair, got:{config.platform}, {config.backend}"
    if config.platform and not expected and config.platform != "ensemble" and not config.backend:
        yield f"unexpected platform type '{config.platform}' for {config.name}"
    if config.max_batch_size < 0:
        yield f"'max_batch_size' must be non-negative value for {config.name}"


def _prefixed(kind: str, tensor: ModelInput | ModelOutput, fault: str, config: ModelConfig) -> str:
    which = f"model {kind} '{tensor.name}'" if tensor.name else f"model {kind}"
    return f"{which} {fault} for {config.name}"


def _tensor(tensor: ModelInput | ModelOutput, max_batch_size: int) -> Iterator[str]:
    if not tensor.name:
        yield "must specify 'name'"
        return
    if tensor.data_type == 0:
        yield "must specify 'data_type'"
    if not tensor.dims:
        yield "must specify 'dims'"
    if any(size < 1 and size != -1 for size in tensor.dims):
        yield _DIMENSION
    if tensor.HasField("reshape"):
        yield from _reshape(tensor, max_batch_size)


def _reshape(tensor: ModelInput | ModelOutput, max_batch_size: int) -> Iterator[str]:
    shape = tensor.reshape.shape
    if any(size < 1 and size != -1 for size in shape):
        yield _RESHAPE
    elif not shape and max_batch_size == 0:
        yield "cannot have empty reshape for non-batching model as scalar tensors are not supported"
    elif _fixed_elements(tensor.dims) != _fixed_elements(shape):
        yield "has different size for dims and reshape"


def _fixed_elements(dims: object) -> list[int]:
    """Elements between the dimensions that are open, which have to agree pairwise."""
    runs = [1]
    for size in dims:  # type: ignore[attr-defined]
        if size == -1:
            runs.append(1)
        else:
            runs[-1] *= size
    return runs


def _batching(config: ModelConfig) -> Iterator[str]:
    if config.WhichOneof("scheduling_choice") != "dynamic_batching":
        return
    batching, name = config.dynamic_batching, config.name
    for size in batching.preferred_batch_size:
        if size <= 0:
            yield f"dynamic batching preferred size must be positive for {name}"
        elif size > config.max_batch_size:
            yield f"dynamic batching preferred size must be <= max batch size for {name}"
    levels = batching.priority_levels
    if levels:
        if not 1 <= batching.default_priority_level <= levels:
            yield f"default priority level must be in range [1, {levels}] for {name}"
        if any(not 1 <= level <= levels for level in batching.priority_queue_policy):
            yield f"priority queue policy must have priority level in range [1, {levels}] for {name}"
    yield from _ordering(batching, name)


def _ordering(batching: ModelDynamicBatching, name: str) -> Iterator[str]:
    if not batching.preserve_ordering:
        return
    if batching.priority_levels > 1:
        yield f"Only one priority level is allowed when 'preserve_ordering' is true for {name}"
    policies = [batching.default_queue_policy, *batching.priority_queue_policy.values()]
    if any(policy.timeout_action == ModelQueuePolicy.DELAY for policy in policies):
        yield f"Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for {name}"


def _instances(group: ModelInstanceGroup) -> Iterator[str]:
    if group.kind == ModelInstanceGroup.KIND_CPU and group.gpus:
        yield "has kind KIND_CPU but specifies one or more GPUs"
    if group.kind == ModelInstanceGroup.KIND_MODEL and group.gpus:
        yield "has kind KIND_MODEL but specifies one or more GPUs"


def _cache(config: ModelConfig) -> Iterator[str]:
    if not config.response_cache.enable:
        return
    refusal = f"Response Cache does not currently support model {config.name} with"
    if config.WhichOneof("scheduling_choice") == "sequence_batching":
        yield f"{refusal} sequence batching scheduler. Please disable the response cache."
    if config.model_transaction_policy.decoupled:
        yield f"{refusal} 'decoupled' transaction policy. Please disable the response cache."


def _oddities(config: ModelConfig) -> Iterator[str]:
    """What is no fault, and is hardly meant."""
    known = {given.name for given in as_executed(config).input}
    for sample in config.model_warmup:
        for name in sorted(sample.inputs.keys() - known):
            yield f"warm-up sample `{sample.name}` has an input `{name}` that the model has not: it is left out"
