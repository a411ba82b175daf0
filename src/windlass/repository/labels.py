"""Label files: what the elements of an output stand for, one line for each."""

from pathlib import Path

from windlass.config import ModelConfig
from windlass.errors import RepositoryError


def labels(config: ModelConfig, folder: Path) -> dict[str, list[str]]:
    """Return the labels of the outputs that have a ``label_filename``, which is relative to the model's folder.

    Raises ``RepositoryError`` when a file cannot be read.
    """
    named = [(output.name, output.label_filename) for output in config.output if output.label_filename]
    return {name: _lines(name, folder / file) for name, file in named}


def _lines(output: str, file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RepositoryError(
            f"unable to read the labels of output '{output}' from {file}: {reason}",
            where=str(file),
            hint="put one label a line into the file that `label_filename` names, in UTF-8, beside config.pbtxt",
        ) from None
