"""Text the user writes becomes values: ``config.pbtxt`` is read, completed, checked and shown here."""

from windlass.config.check import Finding
from windlass.config.executed import as_executed
from windlass.config.model import config_json, normalise, parse_json, parse_text
from windlass.config.model_config_pb2 import ModelConfig
from windlass.config.validate import validate

__all__ = ["Finding", "ModelConfig", "as_executed", "config_json", "normalise", "parse_json", "parse_text", "validate"]
