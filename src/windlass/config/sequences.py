"""What the configuration of sequences must satisfy, in the words users of the protocol know."""

from collections.abc import Iterator

from windlass.config.model_config_pb2 import DataType, ModelConfig, ModelSequenceBatching

_Control = ModelSequenceBatching.Control
_State = ModelSequenceBatching.State
_ID_TYPES = ("TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING")
_PAIRS = ("int32_false_true", "fp32_false_true", "bool_false_true")


def sequence_faults(config: ModelConfig) -> Iterator[str]:
    """Find what is wrong with ``sequence_batching``, where a configuration has it."""
    if config.WhichOneof("scheduling_choice") != "sequence_batching":
        return
    batching, name = config.sequence_batching, config.name
    yield from _strategy(batching, config)
    yield from _controls(batching, name)
    for state in batching.state:
        yield from _state(state)


def _strategy(batching: ModelSequenceBatching, config: ModelConfig) -> Iterator[str]:
    for size in batching.oldest.preferred_batch_size:
        if size <= 0:
            yield f"sequence batching preferred batch size must be positive for {config.name}"
        elif size > config.max_batch_size:
            yield f"sequence batching preferred batch size must be <= max batch size for {config.name}"
    if not 0 <= batching.direct.minimum_slot_utilization <= 1:
        yield f"sequence batching minimum slot utilization must be in range (0.0, 1.0] for {config.name}"
    if batching.oldest.max_candidate_sequences < 0:
        yield f"sequence batching max candidate sequences must be non-negative for {config.name}"


def _controls(batching: ModelSequenceBatching, name: str) -> Iterator[str]:
    tensors: set[str] = set()
    kinds: set[int] = set()
    for tensor in batching.control_input:
        if not tensor.name:
            yield f"sequence batching control tensor must have a name for {name}"
        elif tensor.name in tensors or len(tensor.control) > 1:
            yield f"sequence batching control tensor '{tensor.name}' is specified for multiple control kinds for {name}"
        tensors.add(tensor.name)
        for control in tensor.control:
            kind = _Control.Kind.Name(control.kind)
            if control.kind in kinds:
                yield f"sequence batching specifies multiple {kind} tensors for {name}"
            kinds.add(control.kind)
            check = _id_control if control.kind == _Control.CONTROL_SEQUENCE_CORRID else _flag_control
            yield from (fault.format(kind=kind, name=name) for fault in check(control))


def _id_control(control: _Control) -> Iterator[str]:
    if DataType.Name(control.data_type) not in _ID_TYPES:
        yield (
            "unexpected data type for control {kind} for {name}. Allowed data types are "
            "TYPE_UINT64, TYPE_INT64, TYPE_UINT32, TYPE_INT32 and TYPE_STRING"
        )
    if any(getattr(control, pair) for pair in _PAIRS):
        yield (
            "sequence batching must not specify either 'int32_false_true', 'fp32_false_true' or "
            "'bool_false_true' for {kind} for {name}"
        )


def _flag_control(control: _Control) -> Iterator[str]:
    given = [pair for pair in _PAIRS if getattr(control, pair)]
    if not given:
        yield (
            "sequence batching must specify either 'int32_false_true', 'fp32_false_true' or "
            "'bool_false_true' for {kind} for {name}"
        )
    elif len(given) > 1:
        yield (
            "sequence batching specifies more than one from 'int32_false_true', 'fp32_false_true' and "
            "'bool_false_true' for {kind} for {name}"
        )
    elif len(getattr(control, given[0])) != 2:
        yield f"sequence batching control '{given[0]}' must have exactly 2 entries for {{kind}} for {{name}}"


def _state(state: _State) -> Iterator[str]:
    name = state.input_name
    if not state.input_name or not state.output_name:
        yield f"state '{name or state.output_name}' must specify 'input_name' and 'output_name'"
    if not state.data_type:
        yield f"state '{name}' must specify 'data_type'"
    if any(size < 1 and size != -1 for size in state.dims):
        yield f"state '{name}' dimension must be integer >= 1, or -1 to indicate a variable-size dimension"
    if len(state.initial_state) > 1:
        yield (
            f"initial_state field for state input '{name}' must contain exactly one or zero element. "
            f"Found '{len(state.initial_state)}' elements."
        )
    for initial in state.initial_state[:1]:
        yield from _initial_state(initial, state)


def _initial_state(initial: ModelSequenceBatching.InitialState, state: _State) -> Iterator[str]:
    name = state.input_name
    if not initial.name:
        yield f"Field 'name' must be set when using initial_state for state input '{name}'."
    if initial.data_type != state.data_type:
        yield f"The data type used for 'initial_state' field of state '{name}' does not match the state data type."
    if not initial.WhichOneof("state_data"):
        yield f"initial_state setting expects state'{name}' to have state_data set"
    if len(initial.dims) != len(state.dims):
        yield (
            "Number of dimensions in 'initial_state' doesn't match the size of 'state' dimensions for state input "
            f"'{name}'. {len(initial.dims)} != {len(state.dims)}"
        )
        return
    if any(size < 0 for size in initial.dims):
        yield f"'initial_state' field for state input name '{name}' contains variable dimensions."
        return
    for found, declared in zip(initial.dims, state.dims, strict=True):
        if declared not in (-1, found):
            yield (
                f"'initial_state' dim for input name '{name}' doesn't match 'state' dim description. "
                f"{found} != {declared}"
            )
