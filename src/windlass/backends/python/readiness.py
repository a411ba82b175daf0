"""Whether a model in the server's process calls itself ready: asked now and then, on a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger("windlass")

_PAUSE_S = 1.0
# A model that thinks for longer is not ready.
_PATIENCE_S = 5.0


class Readiness:
    """What an instance said of itself last."""

    def __init__(self, name: str, ask: Callable[[], bool]) -> None:
        self._name, self._ask = name, ask
        self._ready = True
        self._asked: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"readiness {name}", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(_PAUSE_S):
            self._asked = time.monotonic()
            try:
                self._ready = self._ask()
            except Exception:
                log.exception("the readiness check of `%s` failed", self._name)
                self._ready = False
            self._asked = None

    def trouble(self) -> str | None:
        """Return why the instance is not ready; ``None`` when it is."""
        asked = self._asked
        if self._ready and (asked is None or time.monotonic() - asked < _PATIENCE_S):
            return None
        return f"Model '{self._name}' is not ready (user-defined check failed)."

    def close(self) -> None:
        """Ask no more."""
        self._stop.set()
        self._thread.join(_PATIENCE_S)
