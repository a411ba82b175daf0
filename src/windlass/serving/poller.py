"""Follows a repository: what appears is loaded, what changed is loaded again, what went is unloaded."""

import logging
import threading
from collections.abc import Callable, Iterable

from windlass.config import Finding
from windlass.errors import WindlassError
from windlass.repository import ModelEntry, Snapshot
from windlass.serving.loader import Loader
from windlass.serving.reconcile import Mark, marks

log = logging.getLogger("windlass")


# Of a model: its files by version, and what is wrong with it.
State = tuple[dict[int, Mark], tuple[Finding, ...]]


class Poller:
    """Looks at the repository again and again, on a thread of its own.

    A model is loaded when it is not as it was when it was looked at last, so that one that fails is tried again when
    somebody changed it, and not before.
    """

    def __init__(
        self, loader: Loader, look: Callable[[], Snapshot], interval_s: float, known: Iterable[ModelEntry]
    ) -> None:
        self._loader = loader
        self._look = look
        self._interval_s = interval_s
        self._known = _states(known)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="poll", daemon=True)

    def start(self) -> None:
        """Begin to look, the first time when the interval is over."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; what is being loaded now is loaded to its end."""
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(self._interval_s):
            try:
                self.poll()
            except (OSError, WindlassError) as error:
                # Somebody moves things about: what is served is left as it is until the repository can be read again.
                log.warning("the model repository cannot be read: %s", error)

    def poll(self) -> None:
        """Look once, and do what the changes ask for."""
        snapshot = self._look()
        before, self._known = self._known, _states(snapshot.models.values())
        for name in before.keys() - self._known.keys():
            self._loader.forget(name)
        changed = [entry for name, entry in snapshot.models.items() if self._known[name] != before.get(name)]
        self._loader.load_all(changed)


def _states(entries: Iterable[ModelEntry]) -> dict[str, State]:
    return {entry.name: (marks(entry, entry.versions), entry.findings) for entry in entries}
