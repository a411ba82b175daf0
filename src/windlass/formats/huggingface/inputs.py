"""What a model of transformers takes: texts, images or sounds, by its configuration and the arguments it has."""

import inspect
import json
from pathlib import Path
from typing import Any

from windlass.errors import UsageError
from windlass.formats.given import Given
from windlass.formats.huggingface import sentences
from windlass.formats.pytorch.example import Example
from windlass.formats.pytorch.types import torch

# Token numbers that every vocabulary has, and a length that is nothing special.
_TOKENS, _LENGTH = 100, 16
_SAMPLES_OF_SOUND = 16000


def example(model: Any, folder: Path, given: Given) -> Example:
    """Make inputs that the model takes; what was said on the command line goes before."""
    takes = list(inspect.signature(model.forward).parameters)
    made = {name: tensor for name, tensor in _made(model, folder).items() if name in takes}
    axes = {name: (0, 1) if tensor.dim() == 2 else (0,) for name, tensor in made.items()}
    said = Example.of(given.inputs, _LENGTH)
    if unknown := [name for name in said.tensors if name not in takes]:
        raise UsageError(f"`{folder}` has no input `{unknown[0]}`", found=", ".join(takes))
    if not made and not said.tensors:
        main = model.main_input_name
        raise UsageError(
            f"`{folder}` takes `{main}`, whose shape is not known here",
            hint=f"add `--input {main}:FP32[-1,...]` with its own type and shape",
        )
    return Example({**made, **said.tensors}, {**axes, **said.open_axes})


def _made(model: Any, folder: Path) -> dict[str, Any]:
    """Make a pair of everything that such a model may want."""
    lib, config = torch(), model.config
    seed = lib.Generator().manual_seed(0)
    vocabulary = min(_TOKENS, getattr(config, "vocab_size", None) or _TOKENS)
    ids = lib.arange(2 * _LENGTH).reshape(2, _LENGTH) % vocabulary
    tensors = {}
    if hasattr(config, "vision_config") or model.main_input_name == "pixel_values":
        tensors["pixel_values"] = lib.randn(2, *_image(config, folder), generator=seed)
    match model.main_input_name:
        case "input_ids":
            tensors |= {"input_ids": ids, "attention_mask": lib.ones_like(ids)}
            # Sentences are embedded one by one: there is no second segment.
            if (getattr(config, "type_vocab_size", None) or 0) > 1 and not sentences.is_one(folder):
                tensors["token_type_ids"] = lib.zeros_like(ids)
        case "input_values":
            tensors["input_values"] = lib.randn(2, _SAMPLES_OF_SOUND, generator=seed)
        case "input_features":
            size = (2, config.num_mel_bins, 2 * config.max_source_positions)
            tensors["input_features"] = lib.randn(*size, generator=seed)
    if getattr(config, "is_encoder_decoder", False):
        tensors["decoder_input_ids"] = ids
    return tensors


def _image(config: Any, folder: Path) -> tuple[int, int, int]:
    """Return channels, height and width, as the model or the preparation of its images has them."""
    config = getattr(config, "vision_config", config)
    size = getattr(config, "image_size", None)
    file = folder / "preprocessor_config.json"
    if size is None and file.is_file():
        said = said_in(file)
        size = said.get("crop_size") or said.get("size")
    if isinstance(size, dict):
        size = [size.get(side) or size.get("shortest_edge") for side in ("height", "width")]
    height, width = (size, size) if isinstance(size, int) else (size or (224, 224))
    return int(getattr(config, "num_channels", 3)), int(height), int(width)


def said_in(file: Path) -> dict[str, Any]:
    """Read one of the folder's JSON files; raises ``UsageError`` where it is none."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UsageError(f"`{file}` cannot be read: {error}") from None
    if not isinstance(said, dict):
        raise UsageError(f"`{file}` is no configuration", found=type(said).__name__)
    return said
