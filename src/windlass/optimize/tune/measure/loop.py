"""An engine in a loop, without a server: so many instances, each in a thread, executing one batch again and again."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from windlass.backends import LoadContext, find
from windlass.config import ModelConfig, normalise
from windlass.optimize.tune.search.ladder import Lap, next_size
from windlass.samples.samples import Array, Row

_WINDOW_S = 0.35
_LEAST_PASSES = 2


class Loop:
    """The instances that a configuration asks for, opened as the server opens them."""

    def __init__(self, config: ModelConfig, name: str, model: Path, folder: Path) -> None:
        opened = find(config.backend).open(LoadContext(name, 1, model, folder, config))
        self.config = normalise(opened.config, name)
        self._instances: Sequence[Any] = opened.instances(self.config)

    def close(self) -> None:
        """Let go of the instances."""
        for instance in self._instances:
            instance.close()

    def run(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Execute once."""
        return dict(self._instances[0].execute(dict(inputs)))

    def laps(self, row: Row, most: int, limit_s: float | None, until: float) -> Iterator[Lap]:
        """Yield what each batch size gives, while larger ones promise more and there is time.

        ``most`` is 0 for a model without a batch.
        """
        found: list[Lap] = []
        while (size := next_size(found, max(most, 1), limit_s)) is not None:
            if found and time.monotonic() > until:
                return
            found.append(self._lap(row, size, batched=most > 0))
            yield found[-1]

    def _lap(self, row: Row, size: int, *, batched: bool) -> Lap:
        import numpy as np

        inputs = {name: np.stack([array] * size) if batched else array for name, array in row.items()}
        # The first execution of a size makes what the engine keeps for it.
        self._together(inputs, passes=1)
        passes, took = 1, self._together(inputs, passes=1)
        if took < _WINDOW_S:
            passes = max(_LEAST_PASSES, int(_WINDOW_S / max(took, 1e-6)))
            took = self._together(inputs, passes=passes)
        done = passes * len(self._instances)
        return Lap(size, size * done / took, took / passes)

    def _together(self, inputs: dict[str, Array], passes: int) -> float:
        """Have every instance execute so often, all at the same time; returns the seconds it took."""
        failures: list[Exception] = []

        def execute(instance: Any) -> None:
            try:
                for _ in range(passes):
                    instance.execute(dict(inputs))
            except Exception as error:  # engines raise what they like; told below, in the caller's thread
                failures.append(error)

        threads = [threading.Thread(target=execute, args=(instance,)) for instance in self._instances[1:]]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        execute(self._instances[0])
        for thread in threads:
            thread.join()
        took = time.perf_counter() - begun
        if failures:
            raise failures[0]
        return took
