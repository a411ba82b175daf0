"""Files with elements of tensors that a configuration names: what sequences start with, what instances warm up with."""

import math
from pathlib import Path

from windlass.config import ModelConfig
from windlass.config.datatypes import BY_NUMBER
from windlass.config.model_config_pb2 import ModelSequenceBatching
from windlass.errors import RepositoryError

STATES, WARMUP = "initial_state", "warmup"


def tensor_paths(config: ModelConfig) -> list[str]:
    """Return the paths of the files that a configuration names, in the model's folder."""
    inputs = [given for sample in config.model_warmup for given in sample.inputs.values()]
    states = [f"{STATES}/{initial.data_file}" for initial in _initial_states(config) if initial.data_file]
    return [*states, *sorted({f"{WARMUP}/{given.input_data_file}" for given in inputs if given.input_data_file})]


def tensor_files(config: ModelConfig, folder: Path) -> dict[str, bytes]:
    """Return the contents of these files, by their paths.

    Raises ``RepositoryError`` when one cannot be read, or when one for a state does not fill its tensor.
    """
    contents = {path: _read(folder, path) for path in tensor_paths(config)}
    for initial in _initial_states(config):
        if initial.data_file:
            _check(initial, contents[f"{STATES}/{initial.data_file}"], folder)
    return contents


def _initial_states(config: ModelConfig) -> list[ModelSequenceBatching.InitialState]:
    return [initial for state in config.sequence_batching.state for initial in state.initial_state]


def _read(folder: Path, path: str) -> bytes:
    file = folder / path
    try:
        return file.read_bytes()
    except OSError as error:
        place, _, name = path.partition("/")
        raise RepositoryError(
            f"failed to open text file for read {file}: {error.strerror}",
            where=str(file),
            hint=f"put the raw bytes of the tensor into the file `{name}` in the folder `{place}` of the model",
        ) from None


def _check(initial: ModelSequenceBatching.InitialState, data: bytes, folder: Path) -> None:
    size = BY_NUMBER[initial.data_type].size_bytes
    expected = len(data) if size is None else size * math.prod(initial.dims)
    if len(data) != expected:
        raise RepositoryError(
            f"initial_state setting expects {expected} bytes, but the data provided from {initial.data_file} has "
            f"{len(data)} bytes.",
            where=str(folder / STATES / initial.data_file),
        )
