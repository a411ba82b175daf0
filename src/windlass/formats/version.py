"""A version of a model in a repository, looked at like the file that it came from."""

from dataclasses import replace
from typing import Any

from windlass.backends.signature import TensorSignature
from windlass.config import ModelConfig
from windlass.config.datatypes import BY_NUMBER
from windlass.errors import UsageError
from windlass.formats.find import find
from windlass.formats.given import Given
from windlass.formats.inspection import Inspection
from windlass.formats.peek import size_bytes
from windlass.repository import ModelEntry
from windlass.repository.layout import model_file


def inspect_version(entry: ModelEntry, version: int) -> Inspection:
    """Read a version's file; what it does not tell is taken from the configuration."""
    config, folder = entry.config_of(version) or ModelConfig(), entry.versions[version]
    inputs, outputs = declared(config.input, config), declared(config.output, config)
    name = config.default_model_filename or model_file(config.backend, folder)
    file = folder / name
    if not name or not file.exists() or file.suffix == ".py":
        note = (
            "code, which tells nothing of itself"
            if file.suffix == ".py"
            else f"nothing that is known of `{config.backend}`"
        )
        engines = (config.backend,) if config.backend else ()
        size = size_bytes(folder)
        return Inspection(f"{config.backend} model", inputs or None, outputs or None, {}, size, {}, engines, (note,))
    if file.is_dir():
        file = file / name
    try:
        found = find(file, Given(inputs=inputs)).inspect()
    except UsageError as error:
        raise UsageError(error.message, where=str(folder), found=error.found, hint=error.hint) from error
    return replace(
        found, inputs=found.inputs or inputs, outputs=outputs or found.outputs, size_bytes=size_bytes(folder)
    )


def declared(tensors: Any, config: ModelConfig) -> tuple[TensorSignature, ...]:
    """Return what a configuration declares, with the axis of the batch."""
    front = (-1,) if config.max_batch_size > 0 else ()
    return tuple(TensorSignature(one.name, BY_NUMBER[one.data_type].config, (*front, *one.dims)) for one in tensors)
