"""An event loop for models that are coroutine functions."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any


class Coroutines:
    """Runs coroutines of one instance: until they are done, or beside each other on a thread of their own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Wait for the result."""
        return self._loop.run_until_complete(work)

    def start(self, work: Coroutine[Any, Any, Any], failed: Callable[[BaseException], None]) -> None:
        """Let it run beside the others; ``failed`` is told how it ended, if not well."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop.run_forever, name=f"loop {self._name}", daemon=True)
            self._thread.start()

        async def watched() -> None:
            try:
                await work
            except BaseException as error:
                failed(error)

        asyncio.run_coroutine_threadsafe(watched(), self._loop)

    def close(self) -> None:
        """End the loop, and what still runs in it."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.run_until_complete(_wind_up())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


class Awaited:
    """A coroutine function as a plain one: a call waits for its result."""

    def __init__(self, function: Callable[..., Coroutine[Any, Any, Any]], name: str) -> None:
        self._function = function
        self._coroutines = Coroutines(name)

    def __call__(self, **values: Any) -> Any:
        """Return what the coroutine returns."""
        return self._coroutines.run(self._function(**values))

    def close(self) -> None:
        """Close the object that was called, where it can be, and the loop."""
        try:
            if hasattr(self._function, "close"):
                self._function.close()
        finally:
            self._coroutines.close()


async def _wind_up() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
