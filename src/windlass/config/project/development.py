"""A place to work on models, beside the services and closed to the network."""

from pydantic import Field

from windlass.config.project.part import Part
from windlass.config.project.quantities import Port, SecretName
from windlass.config.project.service import Gpus


class Ssh(Part):
    """A way in for editors, with keys only."""

    authorized_keys: str
    """The file with the public keys that may log in, relative to the project file."""
    port: Port = 2222
    """The port on this machine."""


class Development(Part):
    """The development service: a container with the services' packages, tools, and the models writable."""

    jupyter: bool = True
    """Whether Jupyter Lab runs in it, on this machine's own address or behind the gateway's authentication."""
    jupyter_port: Port = 8888
    """The port of Jupyter Lab on this machine."""
    token: SecretName | None = None
    """The secret with Jupyter's token; one is made at every start where left out."""
    live_reload: bool = True
    """Whether servers load a model again when its files change."""
    ssh: Ssh | None = None
    """A way in for editors."""
    packages: tuple[str, ...] = Field(default=())
    """Further Python packages, such as `matplotlib`."""
    gpus: Gpus | None = None
    """GPUs for experiments."""
