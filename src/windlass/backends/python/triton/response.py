"""Responses, and the sender of those that are given one by one."""

import json
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from windlass.backends.python.triton.error import TritonError, TritonModelException, failure
from windlass.backends.python.triton.parameters import Parameters, checked
from windlass.backends.python.triton.tensor import Tensor

if TYPE_CHECKING:
    from windlass.backends.host import Responder

RESPONSE_COMPLETE_FINAL = 1


class InferenceResponse:
    """The outputs of one request, or why there are none."""

    __slots__ = ("_error", "_outputs", "_parameters")

    def __init__(
        self,
        output_tensors: Sequence[Tensor] = (),
        error: TritonError | None = None,
        parameters: Parameters | None = None,
    ) -> None:
        if None in output_tensors:
            raise TritonModelException("Output tensor for inference response should not be empty.")
        self._outputs = output_tensors
        self._error = error
        self._parameters = parameters if parameters is None else checked(parameters)

    def output_tensors(self) -> list[Tensor]:
        """Return the outputs."""
        return list(self._outputs)

    def has_error(self) -> bool:
        """Tell whether the request failed."""
        return self._error is not None

    def error(self) -> TritonError | None:
        """Return why it failed."""
        return self._error

    def parameters(self) -> str:
        """Return what the model has to say besides, as JSON."""
        return json.dumps(dict(self._parameters or {}))

    def _arrays(self) -> dict[str, Any]:
        arrays = {}
        for tensor in self._outputs:  # a loop, and the tensor's members: done for every answer
            arrays[tensor._name] = tensor._array
        return arrays


class InferenceResponseSender:
    """Sends the responses of one request, on any thread, also after ``execute`` has returned."""

    __slots__ = ("_closed", "_count", "_decoupled", "_lock", "_responder")

    def __init__(self, responder: "Responder", *, decoupled: bool) -> None:
        self._responder = responder
        self._decoupled = decoupled
        self._count = 0
        self._closed = False
        self._lock = threading.Lock()

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        """Send a response, or only the flag that no other follows."""
        self._note(response, flags)
        last = flags == RESPONSE_COMPLETE_FINAL
        if response is None:
            self._responder.send(last=last)
        elif response._error is not None:
            self._responder.send(error=failure(response._error), last=last)
        else:
            self._responder.send(response._arrays(), None, response._parameters, last)

    def is_cancelled(self) -> bool:
        """Tell whether the client went away."""
        return self._responder.is_cancelled()

    def fail(self, error: Exception) -> None:
        """End with an error, unless the last response was sent."""
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed:
            self._responder.send(error=error, last=True)

    def _note(self, response: InferenceResponse | None, flags: int) -> None:
        if flags not in (0, RESPONSE_COMPLETE_FINAL):
            raise TritonModelException("Unable to send response. Unsupported flag provided.")
        if flags == 0 and response is None:
            raise TritonModelException(
                "Inference Response object must be provided when the response flags is set to zero."
            )
        with self._lock:
            if not self._decoupled:
                self._check_only(response)
            if self._closed:
                raise TritonModelException("Unable to send response. Response sender has been closed.")
            self._closed = flags == RESPONSE_COMPLETE_FINAL
            self._count += 1

    def _check_only(self, response: InferenceResponse | None) -> None:
        if response is not None and self._count > 0:
            raise TritonModelException(
                "Unable to send response. Non-decoupled model cannot send more than one response."
            )
        if response is None and self._count == 0:
            raise TritonModelException(
                "Unable to send response. Non-decoupled model cannot send complete final before sending a response."
            )
