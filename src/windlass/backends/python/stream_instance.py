"""Instances of generators under ``@windlass.model``: whatever is yielded is an answer of its own, sent at once."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any

from windlass.backends.backend import Answer, Request
from windlass.backends.host import Responder
from windlass.backends.placement import Placement
from windlass.backends.python.annotations import Array
from windlass.backends.python.coroutines import Coroutines
from windlass.backends.python.function_instance import Contract, FunctionInstance


class StreamInstance(FunctionInstance):
    """Runs one generator after the other. One whose client went away is closed at its next ``yield``."""

    per_request = True

    def __init__(self, place: Placement, function: Callable[..., Any], contract: Contract, *, by_row: bool) -> None:
        super().__init__(place, function, contract)
        self._by_row = by_row

    def execute_each(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer each request as often as its generator yields."""
        for request in requests:
            self._stream(request)
        return [None] * len(requests)

    def _stream(self, request: Request) -> None:
        responder = request.responder
        try:
            with closing(self._started(request)) as values:
                for value in values:
                    responder.send(self._arrays(value))
                    if responder.is_cancelled():
                        break
        except Exception as error:
            responder.send(error=self._failure(error), last=True)
        else:
            responder.send(last=True)

    def _started(self, request: Request) -> Any:
        return self._function(**self._contract.arguments(self._inputs(request.inputs)))

    def _inputs(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return what a function that takes plain values sees of a batch: its only row."""
        if not (self._by_row and self._contract.batched):
            return inputs
        if rows := [len(array) for array in inputs.values() if len(array) != 1]:
            raise ValueError(f"expected one row, got {rows[0]}: each stream has a request of its own")
        return {name: array[0] for name, array in inputs.items()}

    def _arrays(self, value: Any) -> Mapping[str, Array]:
        if not self._contract.batched:
            return self._contract.arrays(value, 0)
        if not self._by_row:
            return self._contract.arrays(value, 1)
        return {name: array[None] for name, array in self._contract.arrays(value, 0).items()}


class ConcurrentStreamInstance(StreamInstance):
    """Runs asynchronous generators: all of them beside each other, in an event loop of its own."""

    def __init__(self, place: Placement, function: Callable[..., Any], contract: Contract, *, by_row: bool) -> None:
        super().__init__(place, function, contract, by_row=by_row)
        self._coroutines = Coroutines(place.name)

    def _stream(self, request: Request) -> None:
        responder = request.responder

        def failed(error: BaseException) -> None:
            reason = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: the model ended")
            responder.send(error=self._failure(reason), last=True)

        self._coroutines.start(self._sent(request, responder), failed)

    async def _sent(self, request: Request, responder: Responder) -> None:
        async with aclosing(self._started(request)) as values:
            async for value in values:
                responder.send(self._arrays(value))
                if responder.is_cancelled():
                    break
        responder.send(last=True)

    def close(self) -> None:
        """End what still runs, and let the user's object say goodbye."""
        self._coroutines.close()
        super().close()
