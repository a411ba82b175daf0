"""A version of a model in a repository, looked at like the file that it came from."""

from dataclasses import replace

from windlass.config import ModelConfig
from windlass.errors import UsageError
from windlass.formats.find import find
from windlass.formats.given import Given
from windlass.formats.inspection import Inspection, declared
from windlass.formats.peek import size_bytes
from windlass.repository import ModelEntry
from windlass.repository.layout import model_file


def inspect_version(entry: ModelEntry, version: int) -> Inspection:
    """Read a version's file; what it does not tell is taken from the configuration."""
    config, folder = entry.config_of(version) or ModelConfig(), entry.versions[version]
    inputs, outputs = declared(config.input, config), declared(config.output, config)
    name = config.default_model_filename or model_file(config.backend, folder)
    file, size = folder / name, size_bytes(folder)
    if not name or not file.exists() or file.suffix == ".py":
        kind = config.backend or config.platform
        note = "code, which tells nothing of itself" if file.suffix == ".py" else f"no file that is known of `{kind}`"
        engines = (kind,) if kind else ()
        return Inspection(f"{kind or 'unknown'} model", inputs or None, outputs or None, {}, size, {}, engines, (note,))
    try:
        found = find(file / name if file.is_dir() else file, Given(inputs=inputs)).inspect()
    except UsageError as error:
        raise UsageError(error.message, where=str(folder), found=error.found, hint=error.hint) from error
    return replace(found, inputs=found.inputs or inputs, outputs=outputs or found.outputs, size_bytes=size)
