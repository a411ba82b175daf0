"""Ensembles: there is no file to open and no instance to make. Other models answer."""

from collections.abc import Sequence

from windlass.backends.backend import Instance, LoadContext
from windlass.config import ModelConfig


class OpenedEnsemble:
    """An ensemble: its configuration is all there is."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config

    def instances(self, config: ModelConfig) -> Sequence[Instance]:  # noqa: ARG002 - as every backend
        """Return none."""
        return ()


def open(context: LoadContext) -> OpenedEnsemble:  # noqa: A001 - as every backend
    """Take the configuration as it is written."""
    return OpenedEnsemble(context.config)
