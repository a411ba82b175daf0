"""The images that are built."""

from typing import Literal

from pydantic import Field

from windlass.config.project.part import Part
from windlass.config.project.quantities import SecretName


class Image(Part):
    """How images are named and what they are made of."""

    registry: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9._:/-]*[a-z0-9]$")
    """The registry, and perhaps a folder in it, that images are pushed to: `registry.example.com/ml`."""
    tag: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")
    """The tag; a digest of what the image is made of where left out."""
    python: Literal["3.11", "3.12", "3.13"] = "3.12"
    """The version of Python."""
    base: str | None = None
    """The base image, instead of the one that fits the backends and GPUs."""
    windlass: str | None = None
    """A version of windlass in the package index, or a wheel file relative to the project file. The version that
    writes the Dockerfile where left out."""
    conda: str | None = None
    """A conda environment file, relative to the project file, instead of Python's own packages."""
    index: SecretName | None = None
    """The secret with a `pip.conf` for a private package index. It is there while packages are fetched, and in no
    image."""
    system_packages: tuple[str, ...] = ()
    """Packages of the base's distribution that models need, such as `libgl1`."""
    user: int = Field(default=10001, ge=1, le=65534)
    """The number of the user that servers run as."""
    source: str | None = None
    """Where the project's source is, for the images' labels."""
    scan_severity: Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"] = "HIGH"
    """The least severity of a known weakness that fails a scan."""
