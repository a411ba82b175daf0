"""One loaded version that can be asked: in this process, and at once.

Nothing batches, queues or checks here: what is compared is the models, and not the server before them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from windlass.backends import LoadContext, find
from windlass.config import ModelConfig, normalise, validate
from windlass.errors import BackendError
from windlass.optimize.source import Source

Array = np.ndarray[Any, Any]


class Model:
    """A loaded version. ``config`` is what clients see of it; its code sees ``as_executed(config)``."""

    def __init__(self, instance: Any, config: ModelConfig) -> None:
        self.config = config
        self._instance = instance

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return every output by name. Raises ``BackendError`` with what the model says."""
        # Arrays that are handed over belong to who gets them.
        outputs: dict[str, Array] = dict(self._instance.execute({name: array.copy() for name, array in inputs.items()}))
        return outputs


def completed(source: Source) -> ModelConfig:
    """Return the configuration with what the file adds to it, as a load would."""
    return find(source.backend).open(_context(source)).config


@contextmanager
def opened(source: Source) -> Iterator[Model]:
    """Load one instance of a version, on the device where it is served, until the block ends.

    Raises ``BackendError`` where it does not load.
    """
    opened = find(source.backend).open(_context(source))
    faults = [fault for fault in validate(_one(opened.config, source), str(source.folder)) if fault.severity == "error"]
    if faults:
        raise BackendError(faults[0].message, where=faults[0].where, hint=faults[0].hint or None)
    instances = list(opened.instances(_one(opened.config, source)))
    try:
        yield Model(instances[0], opened.config)
    finally:
        for instance in instances:
            instance.close()


def _one(config: ModelConfig, source: Source) -> ModelConfig:
    """Ask for a single instance, where the first would be."""
    one = ModelConfig()
    one.CopyFrom(config)
    del one.instance_group[1:]
    for group in one.instance_group:
        group.count = 1
        del group.gpus[1:]
    return normalise(one, source.name)


def _context(source: Source) -> LoadContext:
    return LoadContext(source.name, source.version, source.model, source.folder, source.config)
