"""A configuration as the text of a ``config.pbtxt``, the way a person would lay it out."""

import re

from google.protobuf import text_format

from windlass.config.model_config_pb2 import ModelConfig


def config_text(config: ModelConfig) -> str:
    """Return the text: what it is and who opens it first, a list of numbers on one line, an empty message as `{ }`."""
    text = text_format.MessageToString(config, use_short_repeated_primitives=True)
    lines = re.sub(r"\{\s*\}", "{ }", text).splitlines(keepends=True)
    first = [line for key in ("name", "backend", "platform") for line in lines if line.startswith(f"{key}:")]
    return "".join([*first, *(line for line in lines if line not in first)])
