"""What every tool of this package takes: one version of a model, and all that belongs to it."""

from dataclasses import dataclass
from pathlib import Path

from windlass.config import ModelConfig
from windlass.config.model import backend_name
from windlass.errors import RepositoryError
from windlass.repository import ModelEntry


@dataclass(frozen=True, slots=True)
class Source:
    """A version on disk. ``config`` is what it goes by, as written; ``model`` is the folder of the whole model.

    The version's folder need not be in the model's: candidates lie where they were made.
    """

    config: ModelConfig
    folder: Path
    name: str
    model: Path
    version: int = 1

    @classmethod
    def of(cls, entry: ModelEntry, version: int) -> "Source":
        """Return a version of a repository. Raises ``RepositoryError`` where it is not there or cannot be read."""
        config = entry.config_of(version)
        if config is None or entry.errors:
            fault = entry.errors[0] if entry.errors else None
            message = fault.message if fault else f"model `{entry.name}` has no configuration"
            raise RepositoryError(
                message,
                where=fault.where if fault else str(entry.path),
                hint=(fault.hint if fault else "") or "`windlass check` tells more",
            )
        if version not in entry.versions:
            found = ", ".join(map(str, sorted(entry.versions))) or "no version"
            raise RepositoryError(
                f"model `{entry.name}` has no version {version}",
                where=str(entry.path),
                found=found,
                hint="name another",
            )
        return cls(config, entry.versions[version], entry.name, entry.path, version)

    @property
    def backend(self) -> str:
        """The backend that opens it."""
        return backend_name(self.config, self.name)

    @property
    def text(self) -> str:
        """How a person names it: ``resnet:2``."""
        return f"{self.name}:{self.version}"
