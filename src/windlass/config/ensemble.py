"""Ensembles: what their configuration must satisfy by itself, and together with the models of its steps.

Values only. The texts are those users of the protocol know.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from windlass.config.model_config_pb2 import DataType, ModelConfig, ModelEnsembling, ModelInput, ModelOutput

Step = ModelEnsembling.Step

PLATFORM = "ensemble"


def is_ensemble(config: ModelConfig) -> bool:
    """Tell whether other models answer for this one."""
    return config.platform == PLATFORM


def step_models(config: ModelConfig) -> list[str]:
    """Return the models of the steps, each once, in the order of the steps."""
    return list(dict.fromkeys(step.model_name for step in config.ensemble_scheduling.step))


def ensemble_faults(config: ModelConfig) -> Iterator[str]:
    """What is wrong with a configuration, as far as it can be told without its steps' models."""
    name, has_steps = config.name, config.WhichOneof("scheduling_choice") == "ensemble_scheduling"
    if not is_ensemble(config):
        if has_steps:
            yield f"ensemble scheduling cannot be set for model '{name}' whose platform is not ensemble"
        return
    if not has_steps:
        yield f"ensemble scheduling must be set for ensemble {name} whose platform is ensemble"
        return
    if config.backend:
        yield f"Ensemble model '{name}' must have platform type 'ensemble' and empty backend type"
    if config.instance_group:
        yield f"instance group should not be specified for ensemble '{name}'"
    if config.HasField("optimization"):
        yield f"optimization should not be specified for ensemble '{name}'"
    if config.model_warmup:
        yield f"model_warmup can not be specified for ensemble '{name}'"
    incomplete = list(_step_faults(config))
    yield from incomplete or _graph_faults(config)


def _step_faults(config: ModelConfig) -> Iterator[str]:
    name, steps = config.name, config.ensemble_scheduling.step
    if not steps:
        yield f"must specify 'step' for ensemble '{name}'"
    written = {input_.name for input_ in config.input}
    for index, step in enumerate(steps):
        if missing := [member for member in ("model_name", "input_map", "output_map") if not getattr(step, member)]:
            yield f"must specify '{missing[0]}' in step {index} of ensemble '{name}'"
        for tensor in step.output_map.values():
            if tensor in written:
                once = "can appear in an output map only once"
                yield f"ensemble tensor '{tensor}' {once} for ensemble '{name}' step {index}"
            written.add(tensor)


def _graph_faults(config: ModelConfig) -> Iterator[str]:
    name, steps = config.name, config.ensemble_scheduling.step
    inputs, outputs = [i.name for i in config.input], [o.name for o in config.output]
    read = {tensor for step in steps for tensor in step.input_map.values()}
    written = {tensor for step in steps for tensor in step.output_map.values()}
    yield from (f"ensemble input '{i}' for ensemble {name} is not used" for i in inputs if i not in read)
    yield from (f"ensemble output '{o}' for ensemble {name} is not used" for o in outputs if o not in read | written)
    reached = _reached(steps, inputs)
    for output in outputs:
        if output in written and output not in reached:
            reason = (
                f": at least one of its depending tensors, '{_first_open(steps, reached, output)}', is not connected"
            )
            yield f"output '{output}' for ensemble '{name}' is not written{reason}"
    for tensor in sorted(written - read - set(outputs)):
        yield f"ensemble tensor '{tensor}' is unused in ensemble '{name}'"


def _reached(steps: Sequence[Step], inputs: Sequence[str]) -> set[str]:
    """Every tensor that can be written, starting with the inputs."""
    reached, before = set(inputs), -1
    while len(reached) != before:
        before = len(reached)
        for step in steps:
            if reached.issuperset(step.input_map.values()):
                reached.update(step.output_map.values())
    return reached


def _first_open(steps: Sequence[Step], reached: set[str], tensor: str) -> str:
    """Walk from a tensor that is not written back to one that nobody writes, or that waits for itself."""
    seen: set[str] = set()
    while tensor not in seen:
        seen.add(tensor)
        writer = next((step for step in steps if tensor in step.output_map.values()), None)
        if writer is None:
            break
        tensor = next(open_ for open_ in writer.input_map.values() if open_ not in reached)
    return tensor


@dataclass(slots=True)
class _Tensor:
    """What is known of a tensor of the graph, and the model that says so."""

    model: str
    data_type: int
    dims: list[int]
    batching: bool

    @property
    def full(self) -> list[int]:
        return [-1, *self.dims] if self.batching else self.dims


def mismatches(config: ModelConfig, model_of: Callable[[Step], ModelConfig]) -> Iterator[str]:
    """What does not fit between the steps' models, as ``model_of`` finds them, and the ensemble's own tensors."""
    name, batch = config.name, config.max_batch_size
    tensors = {tensor.name: _declared(name, tensor, batch) for tensor in config.input}
    tensors |= {tensor.name: _declared(name, tensor, batch) for tensor in config.output}
    for step in config.ensemble_scheduling.step:
        model = model_of(step)
        if 0 < model.max_batch_size < batch:
            yield (
                f"ensemble {name} allows maximum batch size {batch}, but it contains model {step.model_name} which "
                f"only allows maximum batch size to be {model.max_batch_size}"
            )
        yield from _step_mismatches(name, step, model, tensors)
    yield from _origins(config, model_of)[1]


def _declared(model: str, tensor: ModelInput | ModelOutput, max_batch_size: int) -> _Tensor:
    shape = tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims
    return _Tensor(model, tensor.data_type, list(shape), max_batch_size > 0)


def _step_mismatches(ensemble: str, step: Step, model: ModelConfig, tensors: dict[str, _Tensor]) -> Iterator[str]:
    where, called, batching = f"in ensemble {ensemble}", step.model_name, model.max_batch_size > 0
    yield from _unmapped(where, step, model)
    inputs, outputs = {i.name: i for i in model.input}, {o.name: o for o in model.output}
    for declared, wires in ((inputs, step.input_map), (outputs, step.output_map)):
        for name in sorted(wires.keys() & declared.keys()):
            given = _Tensor(called, declared[name].data_type, list(declared[name].dims), batching)
            known = tensors.setdefault(wires[name], given)
            if fault := _inconsistent(known, given):
                yield f"{where}, ensemble tensor {wires[name]}: {fault}"


def _unmapped(where: str, step: Step, model: ModelConfig) -> Iterator[str]:
    called, inputs, outputs = step.model_name, {i.name for i in model.input}, {o.name for o in model.output}
    required = (i.name for i in model.input if not i.optional)
    for name in sorted(step.input_map.keys() - inputs):
        tensor = step.input_map[name]
        yield f"{where}, ensemble tensor {tensor} is mapping to non-existing input {name} in model {called}"
    for name in required:
        if name not in step.input_map:
            yield f"{where}, input {name} in model {called} is not mapped to any ensemble tensors"
    for name in sorted(step.output_map.keys() - outputs):
        tensor = step.output_map[name]
        yield f"{where}, ensemble tensor {tensor} is mapped from non-existing output {name} in model {called}"


def _inconsistent(known: _Tensor, given: _Tensor) -> str:
    if known.data_type != given.data_type:
        return (
            f"inconsistent data type: {DataType.Name(known.data_type)} is inferred from model {known.model} while "
            f"{DataType.Name(given.data_type)} is inferred from model {given.model}"
        )
    # A model without a batch dimension may spell it out.
    if _agree(known.dims, given.dims) or _agree(known.full, given.full):
        return ""
    return (
        f"inconsistent shape: {_shape(known.full)} is inferred from model {known.model} while {_shape(given.full)} is "
        f"inferred from model {given.model}"
    )


def _agree(one: Sequence[int], other: Sequence[int]) -> bool:
    return len(one) == len(other) and all(a == b or -1 in (a, b) for a, b in zip(one, other, strict=True))


def _shape(dims: Sequence[int]) -> str:
    return f"[{','.join(map(str, dims))}]"


def is_decoupled(config: ModelConfig, model_of: Callable[[Step], ModelConfig]) -> bool:
    """Tell whether any step may give several answers, so that the ensemble may."""
    return any(_origins(config, model_of)[0].values())


def _origins(config: ModelConfig, model_of: Callable[[Step], ModelConfig]) -> tuple[dict[str, int], list[str]]:
    """Number the tensors by the decoupled step whose answers they follow from, 0 for the request itself.

    Also returns what is wrong: a step, or an answer, cannot be put together from tensors of different numbers.
    """
    origins, faults = {input_.name: 0 for input_ in config.input}, []
    left, count = list(config.ensemble_scheduling.step), 0
    while ready := [step for step in left if origins.keys() >= set(step.input_map.values())]:
        left = [step for step in left if step not in ready]
        for step in ready:
            found = {origins[tensor] for tensor in step.input_map.values()}
            if len(found) > 1:
                faults.append(_mixed(config.name, step.model_name))
            decoupled = model_of(step).model_transaction_policy.decoupled
            count += decoupled
            origins.update(dict.fromkeys(step.output_map.values(), count if decoupled else min(found, default=0)))
    if len({origins.get(output.name, 0) for output in config.output}) > 1:
        faults.append(_mixed(config.name, config.name))
    return origins, faults


def _mixed(ensemble: str, model: str) -> str:
    return f"in ensemble {ensemble}, step of model '{model}' receives inputs originated from different decoupled models"
