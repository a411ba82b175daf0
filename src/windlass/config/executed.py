"""A configuration as the model's own code sees it, which is not always what clients see."""

from windlass.config.model_config_pb2 import DataType, ModelConfig, ModelSequenceBatching

_Control = ModelSequenceBatching.Control


def as_executed(config: ModelConfig) -> ModelConfig:
    """Return a copy that also lists what the server makes for the model, and what it keeps of its outputs.

    These are the control inputs of sequences, their states, and what tells the requests of a ragged batch apart.
    """
    full = ModelConfig()
    full.CopyFrom(config)
    _reshape(full)
    if full.HasField("sequence_batching"):
        _add_sequences(full, full.sequence_batching)
    inputs = {tensor.name for tensor in full.input}
    for made in full.batch_input:
        for name in (name for name in made.target_name if name not in inputs):
            full.input.add(name=name, data_type=made.data_type, dims=[-1])
    return full


def _reshape(full: ModelConfig) -> None:
    for input_ in full.input:
        if input_.HasField("reshape"):
            input_.dims[:] = input_.reshape.shape
            input_.ClearField("reshape")
    for output in full.output:
        if output.HasField("reshape"):
            output.dims[:] = output.reshape.shape
            output.ClearField("reshape")


def _add_sequences(full: ModelConfig, batching: ModelSequenceBatching) -> None:
    inputs, outputs = ({tensor.name for tensor in tensors} for tensors in (full.input, full.output))
    for tensor in batching.control_input:
        if tensor.name not in inputs:
            full.input.add(name=tensor.name, data_type=_data_type(tensor), dims=[1])
    for state in batching.state:
        if state.input_name not in inputs:
            full.input.add(name=state.input_name, data_type=state.data_type, dims=state.dims)
        if state.output_name not in outputs:
            full.output.add(name=state.output_name, data_type=state.data_type, dims=state.dims)


def _data_type(tensor: ModelSequenceBatching.ControlInput) -> DataType:
    for control in tensor.control:
        if control.kind == _Control.CONTROL_SEQUENCE_CORRID:
            return control.data_type
        if control.int32_false_true:
            return DataType.TYPE_INT32
        if control.fp32_false_true:
            return DataType.TYPE_FP32
    return DataType.TYPE_BOOL
