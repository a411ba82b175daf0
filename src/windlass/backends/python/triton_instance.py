"""One object of a ``TritonPythonModel`` class: called with the requests of a batch, each by itself."""

import asyncio
import inspect
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from windlass.backends.backend import Answer, Request
from windlass.backends.placement import Placement
from windlass.backends.python import home
from windlass.backends.python.coroutines import Coroutines
from windlass.backends.python.model_file import ModelFile, sweep
from windlass.backends.python.readiness import Readiness
from windlass.backends.python.triton.error import failure
from windlass.backends.python.triton.request import RELEASE_RESCHEDULE, DecoupledRequest, ReceivedRequest
from windlass.backends.python.triton.response import RESPONSE_COMPLETE_FINAL, InferenceResponse
from windlass.errors import BackendError

log = logging.getLogger("windlass")


class TritonInstance:
    """An initialised object of the user's class."""

    per_request = True

    def __init__(self, place: Placement, model: Any, file: ModelFile, *, decoupled: bool) -> None:
        self.name, self.kind, self.device = place.name, place.kind, place.device
        self._model = model
        self._file = file
        self._home = replace(file.home, name=place.name)
        self._decoupled = decoupled
        self.checks = callable(getattr(model, "is_ready", None))
        self.readiness: Readiness | None = None
        self._coroutines = Coroutines(place.name) if inspect.iscoroutinefunction(model.execute) else None

    def execute_each(self, requests: Sequence[Request]) -> list[Answer]:
        """Call the user's ``execute`` with the whole batch, and take its responses apart."""
        received = list(map(DecoupledRequest if self._decoupled else ReceivedRequest, requests))
        token = home.enter(self._home)
        try:
            responses = self._called(received)
        except Exception as error:
            raise self._failure(self._file.traceback(error)) from error
        finally:
            home.leave(token)
        if self._decoupled:
            return self._released(received, responses)
        return self._answers(received, responses)

    def _called(self, received: list[ReceivedRequest]) -> Any:
        if self._coroutines is None:
            return self._model.execute(received)
        if not self._decoupled:
            return self._coroutines.run(self._model.execute(received))
        # It goes on when this call has returned, and answers then.
        senders = [request.get_response_sender() for request in received]

        def failed(error: BaseException) -> None:
            reason = self._failure(self._file.traceback(error))
            for sender in senders:
                sender.fail(reason)

        self._coroutines.start(self._model.execute(received), failed)
        return None

    def _released(self, received: list[ReceivedRequest], responses: Any) -> list[Answer]:
        if responses is not None:
            raise self._failure(
                f"Python model '{self.name}' is using the decoupled mode and the execute function must return None."
            )
        return [request._request if request._release == RELEASE_RESCHEDULE else None for request in received]

    def _answers(self, received: list[ReceivedRequest], responses: Any) -> list[Answer]:
        if not isinstance(responses, list):
            raise self._failure(f"Expected a list in the execute return, found type '{type(responses)}'.")
        if len(responses) != len(received):
            raise self._failure(
                "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
                f"InferenceRequest(s) size is:{len(received)}, and InferenceResponse(s) size is:{len(responses)}"
            )
        return list(map(self._answer, received, responses))

    def _answer(self, request: ReceivedRequest, response: Any) -> Answer:
        if request._release == RELEASE_RESCHEDULE:
            if response is None:
                return request._request
            return self._failure(
                "Expected a None object in the execute function return list for reschduled request, found type "
                f"'{type(response)}'."
            )
        if response is None and request._sender is not None:
            return None
        if not isinstance(response, InferenceResponse):
            return self._failure(
                "Expected an 'InferenceResponse' object in the execute function return list, found type "
                f"'{type(response)}'."
            )
        if request._sender is not None:
            try:
                request._sender.send(response, RESPONSE_COMPLETE_FINAL)
            except Exception as error:
                return self._failure(str(error))
            return None
        if response._error is not None:
            return failure(response._error)
        arrays = response._arrays()
        return (arrays, response._parameters) if response._parameters else arrays

    def watch(self) -> None:
        """Ask the user's object now and then whether it is able to execute, where it ``checks`` that."""
        if self.checks:
            self.readiness = Readiness(self.name, self.is_ready)

    def is_ready(self) -> bool:
        """Ask the user's object whether it is able to execute, where it ``checks`` that."""
        token = home.enter(replace(self._home, executing=False))
        try:
            ready = self._model.is_ready()
            if inspect.iscoroutine(ready):
                ready = asyncio.run(ready)
        finally:
            home.leave(token)
        if not isinstance(ready, bool):
            raise BackendError("is_ready() must return a boolean value")
        return ready

    def _failure(self, text: str) -> BackendError:
        return BackendError(f"Failed to process the request(s) for model '{self.name}', message: {text}")

    def close(self) -> None:
        """Let the user's object say goodbye."""
        if self.readiness is not None:
            self.readiness.close()
        token = home.enter(replace(self._home, executing=False))
        try:
            if hasattr(self._model, "finalize"):
                self._model.finalize()
        except Exception as error:
            log.error("instance `%s` failed to finalize: %s", self.name, self._file.traceback(error))
        finally:
            home.leave(token)
        if self._coroutines is not None:
            self._coroutines.close()
        del self._model, self._file
        sweep()
