"""Candidates served, each by a server of its own; several stay up, so that they can take turns."""

import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from windlass.bench.served import Served as Running
from windlass.bench.served import served
from windlass.config import ModelConfig
from windlass.optimize.room import available_bytes
from windlass.optimize.tune.space import Candidate
from windlass.optimize.tune.space.configuration import text
from windlass.repository.layout import CONFIG_FILE

# More servers than this are not kept, however much memory there is.
MOST = 6
_PREFIX = "serve-"


class Servers:
    """Starts a server when it is asked for and keeps it while there is memory for more."""

    def __init__(self, folder: Path, name: str, model: Path) -> None:
        self._folder = folder
        self._name = name
        self._model = model
        self._running: OrderedDict[Candidate, tuple[Running, ExitStack]] = OrderedDict()
        # How long a start took at most: plans count with it.
        self.start_s = 0.0

    def of(self, candidate: Candidate, config: ModelConfig, version: Path) -> Running:
        """Return the server of a candidate, whose files are in ``version``.

        Raises ``ServerError`` when it does not start.
        """
        if candidate in self._running:
            self._running.move_to_end(candidate)
            return self._running[candidate][0]
        while self._running and (len(self._running) >= MOST or not self._room()):
            self.end(next(iter(self._running)))
        begun = time.monotonic()
        with ExitStack() as stack:
            repository = stack.enter_context(self._repository(config, version))
            running = stack.enter_context(served(repository, (self._name,)))
            self._running[candidate] = (running, stack.pop_all())
        self.start_s = max(self.start_s, time.monotonic() - begun)
        return running

    def end(self, candidate: Candidate) -> None:
        """Stop the server of a candidate, where it has one."""
        found = self._running.pop(candidate, None)
        if found:
            found[1].close()

    def __enter__(self) -> "Servers":
        # What a run left that was killed; links in it lead to models, and are not followed.
        for left in self._folder.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        for candidate in list(self._running):
            self.end(candidate)

    def _room(self) -> bool:
        """Tell whether another server as large as the largest fits, with as much left over."""
        sizes = [found.size_bytes for running, _ in self._running.values() if (found := running.memory())]
        return 2 * max(sizes, default=0) < (available_bytes() or 0)

    @contextmanager
    def _repository(self, config: ModelConfig, version: Path) -> Iterator[Path]:
        """Write a repository with this model as its only one. Files are not copied."""
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=self._folder) as above:
            folder = Path(above) / self._name
            folder.mkdir()
            # What lies beside the versions, such as labels, is found there as well.
            for path in self._model.iterdir():
                if path.name != CONFIG_FILE and not path.name[:1].isdigit():
                    (folder / path.name).symlink_to(path.resolve())
            _link(version, folder / "1")
            (folder / CONFIG_FILE).write_text(text(config), encoding="utf-8")
            yield Path(above)


def _link(version: Path, place: Path) -> None:
    """Have a version be found in another place, without the configuration it may have of its own.

    Links to single files are hard ones where that can be: an engine may look for weights beside what a link leads to.
    """
    if not (version / CONFIG_FILE).exists():
        place.symlink_to(version.resolve())
        return
    place.mkdir()
    for path in version.iterdir():
        if path.name == CONFIG_FILE:
            continue
        try:
            (place / path.name).hardlink_to(path)
        except OSError:
            (place / path.name).symlink_to(path.resolve())
