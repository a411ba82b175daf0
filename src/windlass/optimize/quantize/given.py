"""What every method is given, and what it says of what it made: values only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from windlass.config import ModelConfig
from windlass.optimize.source import Source
from windlass.samples import Samples

Array = np.ndarray[Any, Any]

PRECISIONS = ("fp16", "bf16", "int8-dynamic", "int8")

# Of one request while ranges are looked for: large enough to be quick, small enough for any model.
_TOGETHER = 8


@dataclass(frozen=True, slots=True)
class Given:
    """A version that is to have fewer bits. ``config`` is complete: what clients see of it.

    ``calibration`` are samples in the shapes that the model sees; only ``int8`` has any.
    """

    source: Source
    file: Path
    config: ModelConfig
    to: str
    calibration: Samples | None = None

    @property
    def size_bytes(self) -> int:
        """How much there is to read: weights may lie beside the file."""
        return size_on_disk(self.source.folder)

    def requests(self, ranks: Mapping[str, int], size: int = _TOGETHER) -> Iterator[dict[str, Array]]:
        """Yield the calibration data as requests of the file, whose inputs have so many dimensions.

        What has none there but the batch's is an array of one to everybody else.
        """
        assert self.calibration is not None
        limit = max(1, min(size, self.config.max_batch_size or 1))
        for batch in self.calibration.batches(limit):
            yield {
                name: array.reshape(array.shape[:-1]) if ranks[name] == array.ndim - 1 else array
                for name, array in batch.items()
                if name in ranks
            }


@dataclass(frozen=True, slots=True)
class Made:
    """How the weights were made: the method in words, what its configuration has to say, and what one should know."""

    method: str
    file: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def size_on_disk(folder: Path) -> int:
    """Return the size of a version in bytes, without its configuration."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".pbtxt")
