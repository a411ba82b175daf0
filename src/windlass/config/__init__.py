"""Text the user writes becomes values: ``config.pbtxt`` is read, completed, checked and shown here."""

from windlass.config.check import Finding
from windlass.config.executed import as_executed
from windlass.config.model import config_json, normalise, parse_json, parse_text
from windlass.config.model_config_pb2 import ModelConfig
from windlass.config.ragged import flat_tensors, ragged_inputs
from windlass.config.validate import validate

__all__ = [
    "Finding",
    "ModelConfig",
    "as_executed",
    "config_json",
    "flat_tensors",
    "normalise",
    "parse_json",
    "parse_text",
    "ragged_inputs",
    "validate",
]
