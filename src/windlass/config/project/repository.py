"""Where the models are."""

from typing import Self

from pydantic import Field, model_validator

from windlass.config.project.part import Part
from windlass.config.project.quantities import Bytes, Cron, Name, SecretName


class Backup(Part):
    """Copies of the models' volume, kept somewhere else."""

    to: str = Field(pattern=r"^(s3|gs|az)://[^/\s]+(/\S*)?$")
    """The bucket, and perhaps a folder in it, that copies go to: `s3://backups/models`."""
    schedule: Cron = "0 3 * * *"
    """When, as five fields of cron."""
    keep: int = Field(default=14, ge=1)
    """How many copies are kept."""
    credentials: SecretName | None = None
    """The secret with the bucket's credentials, as environment lines."""


class Repository(Part):
    """The model repository: a folder, a bucket, or a volume that exists."""

    path: str | None = None
    """A folder, relative to the project file."""
    url: str | None = Field(default=None, pattern=r"^(s3|gs|az|https)://[^/\s]+(/\S*)?$")
    """A bucket, and perhaps a folder in it: fetched and verified before a server starts."""
    volume: Name | None = None
    """A volume (of Docker) or claim (of Kubernetes) that exists and holds the repository."""
    credentials: SecretName | None = None
    """The secret with the bucket's credentials, as environment lines."""
    size: Bytes = 21474836480
    """Room for the models, where a volume is made for them."""
    backup: Backup | None = None
    """Copies of the volume."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(place is not None for place in (self.path, self.url, self.volume)) != 1:
            raise ValueError("expected one of `path`, `url` and `volume`")
        return self
