"""Files with what the states of a sequence start with."""

import math
from pathlib import Path

from windlass.config import ModelConfig
from windlass.config.datatypes import BY_NUMBER
from windlass.config.model_config_pb2 import ModelSequenceBatching
from windlass.errors import RepositoryError

FOLDER = "initial_state"


def initial_states(config: ModelConfig, folder: Path) -> dict[str, bytes]:
    """Return the contents of the files that states name, by their paths in the model's folder.

    Raises ``RepositoryError`` when one cannot be read, or does not fill its tensor.
    """
    states = [initial for state in config.sequence_batching.state for initial in state.initial_state]
    return {f"{FOLDER}/{initial.data_file}": _read(initial, folder) for initial in states if initial.data_file}


def _read(initial: ModelSequenceBatching.InitialState, folder: Path) -> bytes:
    file = folder / FOLDER / initial.data_file
    try:
        data = file.read_bytes()
    except OSError as error:
        raise RepositoryError(
            f"failed to open text file for read {file}: {error.strerror}",
            where=str(file),
            hint=f"`data_file` names a file in the folder `{FOLDER}` of the model, with the raw bytes of the tensor",
        ) from None
    size = BY_NUMBER[initial.data_type].size_bytes
    expected = len(data) if size is None else size * math.prod(initial.dims)
    if len(data) != expected:
        raise RepositoryError(
            f"initial_state setting expects {expected} bytes, but the data provided from {initial.data_file} has "
            f"{len(data)} bytes.",
            where=str(file),
        )
    return data
