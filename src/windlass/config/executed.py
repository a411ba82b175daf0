"""A configuration as the model's own code sees it: clients neither send nor get all of its tensors."""

from windlass.config.model_config_pb2 import DataType, ModelConfig, ModelSequenceBatching

_Control = ModelSequenceBatching.Control


def as_executed(config: ModelConfig) -> ModelConfig:
    """Return a copy that also lists what the server makes for the model, and what it keeps of its outputs.

    These are the control inputs of sequences, and their states.
    """
    full = ModelConfig()
    full.CopyFrom(config)
    batching = full.sequence_batching
    inputs, outputs = ({tensor.name for tensor in tensors} for tensors in (full.input, full.output))
    for tensor in batching.control_input:
        if tensor.name not in inputs:
            full.input.add(name=tensor.name, data_type=_data_type(tensor), dims=[1])
    for state in batching.state:
        if state.input_name not in inputs:
            full.input.add(name=state.input_name, data_type=state.data_type, dims=state.dims)
        if state.output_name not in outputs:
            full.output.add(name=state.output_name, data_type=state.data_type, dims=state.dims)
    # Looking at a member of a choice must not make it.
    if not config.HasField("sequence_batching"):
        full.ClearField("sequence_batching")
    return full


def _data_type(tensor: ModelSequenceBatching.ControlInput) -> DataType:
    for control in tensor.control:
        if control.kind == _Control.CONTROL_SEQUENCE_CORRID:
            return control.data_type
        if control.int32_false_true:
            return DataType.TYPE_INT32
        if control.fp32_false_true:
            return DataType.TYPE_FP32
    return DataType.TYPE_BOOL
