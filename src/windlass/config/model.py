"""``config.pbtxt``: text to message and back, and the values that stand where the user wrote none.

Protocol Buffers' own text format does the reading, so that a file means exactly what it means elsewhere.
"""

import difflib
import json
import re
from typing import Any

from google.protobuf import json_format, text_format

from windlass.config.model_config_pb2 import ModelConfig, ModelInstanceGroup
from windlass.errors import ConfigError

# Backends by the names that older configurations use.
PLATFORMS = {
    "pytorch_libtorch": "pytorch",
    "onnxruntime_onnx": "onnxruntime",
    "tensorrt_plan": "tensorrt",
    "tensorflow_savedmodel": "tensorflow",
    "tensorflow_graphdef": "tensorflow",
}

_DEFAULT_IDLE_US = 1_000_000

# Members that JSON shows as numbers although they have 64 bits; Protocol Buffers would write them as strings.
_NUMBERS = {
    "dims",
    "shape",
    "versions",
    "max_queue_delay_microseconds",
    "priority_levels",
    "default_priority_level",
    "default_timeout_microseconds",
    "max_sequence_idle_microseconds",
    "model_version",
}


def parse_text(text: str, path: str) -> ModelConfig:
    """Read the text of a ``config.pbtxt``.

    Raises ``ConfigError`` with ``path:line: what is wrong``.
    """
    try:
        return text_format.Parse(text, ModelConfig())
    except text_format.ParseError as error:
        line = error.GetLine()
        message = re.sub(r"^\d+:\d+ : ", "", str(error)).replace("\n", " ")
        where = f"{path}:{line}" if line else path
        raise ConfigError(f"{where}: {_reworded(message)}", where=where, hint=_hint(message)) from None
    except (UnicodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: {error}", where=path) from None


def _reworded(message: str) -> str:
    unknown = re.search(r'Message type "inference\.([\w.]+)" has no field named "([^"]+)"', message)
    if unknown:
        return f"`{unknown[2]}` is no field of {unknown[1]}"
    return message[:1].lower() + message[1:].rstrip(".")


def _hint(message: str) -> str | None:
    """Name the field that was probably meant."""
    unknown = re.search(r'Message type "inference\.([\w.]+)" has no field named "([^"]+)"', message)
    if not unknown:
        return None
    names = _field_names(unknown[1])
    close = difflib.get_close_matches(unknown[2], names, n=1)
    return f"did you mean `{close[0]}`?" if close else f"its fields are {', '.join(names)}"


def _field_names(message: str) -> list[str]:
    file = ModelConfig.DESCRIPTOR.file
    outer, *inner = message.split(".")
    descriptor: Any = file.message_types_by_name.get(outer)
    for name in inner:
        descriptor = descriptor.nested_types_by_name.get(name) if descriptor else None
    return [field.name for field in descriptor.fields] if descriptor else []


def parse_json(text: str) -> ModelConfig:
    """Read a configuration in JSON, as a load request carries it; both spellings of names are accepted.

    Raises ``ConfigError``.
    """
    try:
        members = json.loads(text)
        if not isinstance(members, dict):
            raise ConfigError(f"Invalid config override: expected an object, got {type(members).__name__}")
        return json_format.ParseDict(members, ModelConfig())
    except (json_format.ParseError, RecursionError, ValueError) as error:
        raise ConfigError(f"Invalid config override: {error}") from None


def config_json(config: ModelConfig) -> str:
    """Return the protocol's JSON form: every scalar with its default, enums by name, sizes as numbers."""
    members = json_format.MessageToDict(
        config, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.dumps(_with_numbers(members), separators=(",", ":"), ensure_ascii=False)


def _with_numbers(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        # What a user names must not be taken for a member of the schema.
        free = name in {"parameters", "metric_tags", "cc_model_filenames", "input_map", "output_map"}
        return {
            # Sizes of initial states are written as strings by every server of this protocol.
            key: member if key == "initial_state" else _with_numbers(member, "" if free else key)
            for key, member in value.items()
        }
    if isinstance(value, list):
        return [_with_numbers(element, name) for element in value]
    if isinstance(value, str) and name in _NUMBERS:
        return int(value)
    return value


def normalise(config: ModelConfig, name: str) -> ModelConfig:
    """Return a copy in which everything that has a default says so.

    One instance per group is the default for every backend. (Triton starts two for ONNX Runtime on a CPU; one that
    may use all cores is as fast, and takes half the memory.) ``KIND_AUTO`` stays: the backend decides when it loads.
    """
    full = ModelConfig()
    full.CopyFrom(config)
    full.name = full.name or name
    full.backend = full.backend or PLATFORMS.get(full.platform, "")
    if not full.version_policy.WhichOneof("policy_choice"):
        full.version_policy.latest.num_versions = 1
    _normalise_scheduling(full)
    if full.platform != "ensemble":
        for memory in ("input_pinned_memory", "output_pinned_memory"):
            if not full.optimization.HasField(memory):
                getattr(full.optimization, memory).enable = True
        _normalise_instances(full)
    return full


def backend_name(config: ModelConfig, name: str) -> str:
    """Return which backend opens a model."""
    return config.platform if config.platform == "ensemble" else normalise(config, name).backend


def _normalise_scheduling(config: ModelConfig) -> None:
    choice = config.WhichOneof("scheduling_choice")
    size = config.max_batch_size
    if choice == "dynamic_batching" and size > 0 and not config.dynamic_batching.preferred_batch_size:
        config.dynamic_batching.preferred_batch_size.append(size)
    if choice == "sequence_batching":
        batching = config.sequence_batching
        batching.max_sequence_idle_microseconds = batching.max_sequence_idle_microseconds or _DEFAULT_IDLE_US
        oldest = batching.WhichOneof("strategy_choice") == "oldest"
        if oldest and size > 0 and not batching.oldest.preferred_batch_size:
            batching.oldest.preferred_batch_size.append(size)


def _normalise_instances(config: ModelConfig) -> None:
    if not config.instance_group:
        config.instance_group.append(ModelInstanceGroup())
    for index, group in enumerate(config.instance_group):
        group.name = group.name or f"{config.name}_{index}"
        group.count = max(group.count, 1)
