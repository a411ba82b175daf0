"""Reads samples from what a person has; the kind of file tells how."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from windlass.config import ModelConfig
from windlass.errors import UsageError
from windlass.samples.arrays import read_array, read_arrays
from windlass.samples.folders import read_folder
from windlass.samples.found import Found
from windlass.samples.lines import read_json_lines, read_texts
from windlass.samples.samples import Samples
from windlass.samples.wanted import Wanted

Reader: TypeAlias = Callable[[Path, Wanted, int | None], Found]

_READERS: dict[str, Reader] = {
    ".npz": read_arrays,
    ".npy": read_array,
    ".jsonl": read_json_lines,
    ".txt": read_texts,
}
_KINDS = "an .npz, .npy, .jsonl or .txt file, or a folder of images or .npy files"


def read(path: Path, config: ModelConfig, *, limit: int | None = None) -> Samples:
    """Read at most ``limit`` samples for a model whose configuration is complete.

    Raises ``UsageError`` with the file, the line or the index where it cannot be read, or is not what the model takes.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"at least one sample is needed, got a limit of {limit}", hint="leave the limit out for all")
    wanted = Wanted.of(config)
    reader = _reader(path)
    try:
        found = reader(path, wanted, limit)
    except OSError as error:
        raise UsageError(f"`{path}` cannot be read: {error.strerror or error}", where=str(path)) from None
    if not found.rows:
        raise UsageError(f"`{path}` holds no samples", where=str(path), hint=f"the model takes {wanted.text}")
    return Samples(tuple(found.rows), wanted.batched, str(path), found.label_array(str(path)), tuple(found.origins))


def _reader(path: Path) -> Reader:
    if path.is_dir():
        return read_folder
    if not path.exists():
        raise UsageError(f"there is no `{path}`", hint=f"name {_KINDS}")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"`{path}` is no kind of file that samples are read from",
            found=f"`{path.suffix or path.name}`",
            hint=f"name {_KINDS}",
        )
    return reader
