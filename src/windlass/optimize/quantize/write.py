"""A version with fewer bits, written into any folder: room is looked for first, and nothing is compared."""

from pathlib import Path

from google.protobuf import text_format

from windlass.config import ModelConfig
from windlass.errors import RoomError
from windlass.optimize.export import format_and_file
from windlass.optimize.export.loaded import completed
from windlass.optimize.quantize.data import as_seen, fit
from windlass.optimize.quantize.given import Given, Made, size_on_disk
from windlass.optimize.quantize.routes import method
from windlass.optimize.room import require_disk, require_memory
from windlass.optimize.source import Source
from windlass.repository.layout import CONFIG_FILE
from windlass.samples import Samples

# What quantisers have in memory at their peak, as a multiple of the weights, and what the frameworks themselves take.
_MEMORY_FACTOR = 4
_FRAMEWORKS_BYTES = 768 << 20


def write(source: Source, folder: Path, to: str, calibration: Samples | None = None) -> ModelConfig:
    """Write a version with fewer bits into a folder, unchecked, with its ``config.pbtxt``.

    ``int8`` needs calibration data, in the shapes that clients send. Raises ``ConversionError`` where it cannot be,
    ``UsageError`` for data that show nothing, ``RoomError`` where there is too little memory or disk.
    """
    return write_given(given(source, completed(source), to, calibration), folder)[0]


def given(source: Source, config: ModelConfig, to: str, calibration: Samples | None) -> Given:
    """Return what a method is given; only ``int8`` looks at data."""
    shown = as_seen(fit(calibration), config) if to == "int8" else None
    return Given(source, format_and_file(source)[1], config, to, shown)


def write_given(given: Given, folder: Path) -> tuple[ModelConfig, Made]:
    """Write a version that was looked at already; otherwise as ``write``."""
    quantise = method(given.source, given.to)
    doing = f"quantising `{given.source.text}`"
    require_memory(_MEMORY_FACTOR * given.size_bytes + _FRAMEWORKS_BYTES, doing)
    require_disk(2 * given.size_bytes, folder, doing)
    try:
        made = quantise(given, folder)
        config = _config(given.source, made)
        (folder / CONFIG_FILE).write_text(_text(config, given, made), encoding="utf-8")
    except MemoryError:
        raise RoomError(f"{doing} ran out of memory", hint="do it on a machine, or in a container, with more") from None
    except OSError as error:
        raise RoomError(f"{doing}: {error.strerror}", where=str(folder), hint="make room on that disk") from None
    return config, made


def _config(source: Source, made: Made) -> ModelConfig:
    """Return what the new version goes by: all that was written for the old one, but of its file."""
    config = ModelConfig()
    config.CopyFrom(source.config)
    for member in ("version_policy", "platform", "default_model_filename"):
        config.ClearField(member)
    config.name, config.backend = source.name, source.backend
    for name, value in made.parameters.items():
        config.parameters[name].string_value = value
    return config


def _text(config: ModelConfig, given: Given, made: Made) -> str:
    version, file = given.source.version, given.file.name
    return (
        f"# Made from version {version} ({file}) by `windlass quantize --to {given.to}`: {made.method}.\n"
        f"# {size_on_disk(given.source.folder)} bytes before.\n{text_format.MessageToString(config)}"
    )
