"""Ragged batches: what a configuration says of requests of different shapes that share a batch. Values only."""

from collections.abc import Iterator, Sequence

from windlass.config.model_config_pb2 import BatchInput, BatchOutput, DataType, ModelConfig


def flat_tensors(config: ModelConfig) -> set[str]:
    """Return the names of the tensors whose shape in a batch is not the one that is declared."""
    made = (name for helper in config.batch_input for name in helper.target_name)
    scattered = (name for output in config.batch_output for name in output.target_name)
    return {*ragged_inputs(config), *made, *scattered}


def ragged_inputs(config: ModelConfig) -> set[str]:
    """Return the names of the inputs that requests of different shapes share a batch with."""
    return {given.name for given in config.input if config.max_batch_size > 0 and given.allow_ragged_batch}


def ragged_faults(config: ModelConfig) -> Iterator[str]:
    """Tell what is wrong with ``batch_input`` and ``batch_output``."""
    inputs = {given.name for given in config.input}
    for made in config.batch_input:
        yield from _sources("input", BatchInput.Kind.Name(made.kind), made.source_input, inputs)
        if made.data_type not in (DataType.TYPE_INT32, DataType.TYPE_FP32):
            yield "batch input data type must be TYPE_INT32 or TYPE_FP32"
    outputs = {given.name for given in config.output}
    for scattered in config.batch_output:
        yield from _sources("output", BatchOutput.Kind.Name(scattered.kind), scattered.source_input, inputs)
        seen: set[str] = set()
        for target in scattered.target_name:
            if target not in outputs:
                yield f"unknown target output name '{target}'"
            if target in seen:
                yield f"target output name '{target}' can only be specified once"
            seen.add(target)


def _sources(what: str, kind: str, sources: Sequence[str], inputs: set[str]) -> Iterator[str]:
    if len(sources) != 1:
        yield f"batch {what} kind '{kind}' expects 1 source input, got {len(sources)}"
    for source in sources:
        if source not in inputs:
            yield f"unknown source input name '{source}'"
