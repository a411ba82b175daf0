"""What every format offers: a model that was found at a path can be looked at, and written into a version's folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from windlass.config import ModelConfig
from windlass.formats.inspection import Inspection


@dataclass(frozen=True, slots=True)
class Written:
    """What was put into a folder. ``config`` says what the files there do not tell: the backend, perhaps tensors.

    ``notes`` are what somebody ought to know of the conversion, where there was one.
    """

    config: ModelConfig
    notes: tuple[str, ...] = ()


class Found(Protocol):
    """A model at a path, recognised and not yet read."""

    @property
    def format(self) -> str:
        """The format's name."""

    def inspect(self) -> Inspection:
        """Read the model. Raises ``UsageError`` where it is not what it seemed."""

    def write(self, folder: Path) -> Written:
        """Put the model into a folder under the names that backends look for, converted where none takes it as it is.

        Raises ``UsageError`` where that does not work.
        """
