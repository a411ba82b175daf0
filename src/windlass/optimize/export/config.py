"""What the new version goes by: what clients see is what they saw, and another backend answers."""

from google.protobuf import text_format

from windlass.config import ModelConfig
from windlass.config.model_config_pb2 import ModelInstanceGroup
from windlass.optimize.export.original import Original
from windlass.optimize.export.routes import BACKENDS, FILES


def exported_config(original: Original, to: str) -> ModelConfig:
    """Return the configuration of an export.

    Inputs, outputs and the batch are written out, so that no file can say otherwise; which versions are served stays
    a matter of the model.
    """
    config = ModelConfig()
    config.CopyFrom(original.config)
    for member in ("version_policy", "platform", "default_model_filename"):
        config.ClearField(member)
    config.name = original.source.name
    config.backend = BACKENDS[to]
    if to == "openvino" and any(group.kind == ModelInstanceGroup.KIND_GPU for group in config.instance_group):
        # OpenVINO runs on processors here.
        del config.instance_group[:]
    return config


def config_text(config: ModelConfig, original: Original, to: str) -> str:
    """Return the text of its ``config.pbtxt``."""
    said = f"# Made from version {original.source.version} ({original.file.name}) by `windlass export --to {to}`.\n"
    return f"{said}# `{FILES[to]}` answers as that version does.\n{text_format.MessageToString(config)}"
