"""A version in another format, written into any folder: room is looked for first, and nothing is compared."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from windlass.config import ModelConfig, as_executed, flat_tensors
from windlass.errors import ConversionError, RoomError
from windlass.optimize.export.axes import shapes
from windlass.optimize.export.config import config_text, exported_config
from windlass.optimize.export.loaded import completed
from windlass.optimize.export.original import Original, format_and_file
from windlass.optimize.export.probes import OPEN_SIZE, probes
from windlass.optimize.export.routes import FILES, TITLES, converter
from windlass.optimize.room import require_disk, require_memory
from windlass.optimize.source import Source
from windlass.repository.layout import CONFIG_FILE
from windlass.samples import Samples, generate

Array = np.ndarray[Any, Any]

# What a conversion has in memory at its peak, as a multiple of the weights: the model that is read, its graph in the
# new format, and the file that is being written; and what the frameworks themselves take.
_MEMORY_FACTOR = 5
_FRAMEWORKS_BYTES = 512 << 20
_DISK_FACTOR = 1.1

# Rows that are generated: enough for the largest batch that is asked.
ROWS = 5


def write(source: Source, folder: Path, to: str) -> ModelConfig:
    """Write a version in another format into a folder, unchecked, with its ``config.pbtxt``.

    Raises ``ConversionError`` where that cannot be, ``RoomError`` where there is too little memory or disk.
    """
    config = completed(source)
    refuse_ragged(source, config)
    # A batch of one is often a special case.
    usual = max(islice(probes(config, generated(config), given=False), 2), key=lambda probe: probe.size.batch)
    return write_original(original_of(source, config, usual.inputs), folder, to)


def original_of(source: Source, config: ModelConfig, example: Mapping[str, Array]) -> Original:
    """Return what is known of a version, with an example in the order of its configuration."""
    format_, file = format_and_file(source)
    return Original(source, format_, file, config, {name: example[name] for name in shapes(config)})


def generated(config: ModelConfig) -> Samples:
    """Return rows to ask about, in the shapes that the model sees."""
    return generate(as_executed(config), ROWS, open_size=OPEN_SIZE)


def refuse_ragged(source: Source, config: ModelConfig) -> None:
    """Raise ``ConversionError`` for a model whose rows have shapes of their own: no other format is told of them."""
    if flat := sorted(flat_tensors(config)):
        raise ConversionError(
            f"`{source.text}` takes ragged batches (`{flat[0]}`), which cannot be asked one by one",
            where=str(source.folder),
            hint="serve it as it is",
        )


def write_original(original: Original, folder: Path, to: str) -> ModelConfig:
    """Write a version that was looked at already; otherwise as ``write``."""
    convert = converter(original.format, to, original.source)
    doing = f"exporting `{original.source.text}` to {TITLES[to]}"
    require_memory(_MEMORY_FACTOR * original.size_bytes + _FRAMEWORKS_BYTES, doing)
    require_disk(int(_DISK_FACTOR * original.size_bytes), folder, doing)
    config = exported_config(original, to)
    try:
        convert(original, folder / FILES[to])
        (folder / CONFIG_FILE).write_text(config_text(config, original, to), encoding="utf-8")
    except MemoryError:
        raise RoomError(f"{doing} ran out of memory", hint="do it on a machine, or in a container, with more") from None
    except OSError as error:
        raise RoomError(f"{doing}: {error.strerror}", where=str(folder), hint="make room on that disk") from None
    return config
