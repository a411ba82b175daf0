"""Requests: those a model receives, and those it makes to another model."""

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from windlass.backends.python import home
from windlass.backends.python.triton.call import ResponseIterator, only, started
from windlass.backends.python.triton.error import TritonModelException
from windlass.backends.python.triton.parameters import Parameters, checked
from windlass.backends.python.triton.response import InferenceResponse, InferenceResponseSender
from windlass.backends.python.triton.tensor import Tensor
from windlass.backends.python.triton.trace import InferenceTrace, PreferredMemory

if TYPE_CHECKING:
    from windlass.backends import Request

RELEASE_ALL, RELEASE_RESCHEDULE = 1, 2


class InferenceRequest:
    """A request to another model: made, then executed by ``exec`` or ``async_exec``, as often as one likes."""

    __slots__ = (
        "_correlation_id",
        "_flags",
        "_inputs",
        "_model_name",
        "_model_version",
        "_parameters",
        "_preferred_memory",
        "_request_id",
        "_requested",
        "_timeout",
        "_trace",
    )

    def __init__(  # noqa: PLR0913 - its order is the protocol's
        self,
        request_id: str = "",
        correlation_id: int | str = 0,
        inputs: Sequence[Tensor] = (),
        requested_output_names: Sequence[str] = (),
        model_name: str = "",
        model_version: int = -1,
        flags: int = 0,
        timeout: int = 0,
        preferred_memory: PreferredMemory | None = None,
        trace: InferenceTrace | None = None,
        parameters: Parameters | None = None,
    ) -> None:
        whose = f"for request with id '{request_id}' and model name '{model_name}' should not be empty."
        if None in inputs:
            raise TritonModelException(f"Input tensor {whose}")
        if "" in requested_output_names or None in requested_output_names:
            raise TritonModelException(f"Requested output name {whose}")
        if not isinstance(correlation_id, int | str):
            raise TritonModelException("Correlation ID must be integer or string")
        self._request_id = request_id
        self._correlation_id = correlation_id
        self._inputs = inputs
        self._requested = requested_output_names
        self._model_name = model_name
        self._model_version = model_version
        self._flags = flags
        self._timeout = timeout
        self._preferred_memory = preferred_memory
        self._trace = trace
        self._parameters = checked(parameters)

    def inputs(self) -> list[Tensor]:
        """Return the inputs."""
        return list(self._inputs)

    def request_id(self) -> str:
        """Return the name for the request; empty when it has none."""
        return self._request_id

    def correlation_id(self) -> int | str:
        """Return the sequence's id; 0 for none."""
        return self._correlation_id

    def requested_output_names(self) -> set[str]:
        """Return the names of the outputs that are wanted."""
        return set(self._requested)

    def parameters(self) -> str:
        """Return what was sent besides, as JSON."""
        return json.dumps(dict(self._parameters))

    def flags(self) -> int:
        """Return the flags of the request's place in its sequence."""
        return self._flags

    def set_flags(self, flags: int) -> None:
        """Set the flags of the request's place in its sequence."""
        self._flags = flags

    def timeout(self) -> int:
        """Return the limit for the time in the queue, in microseconds; 0 for none."""
        return self._timeout

    def trace(self) -> InferenceTrace:
        """Return the trace the request belongs to."""
        return self._trace or InferenceTrace()

    def preferred_memory(self) -> PreferredMemory:
        """Return where the answer should be kept."""
        return self._preferred_memory or PreferredMemory()

    def is_cancelled(self) -> bool:
        """Tell whether the client went away; that of a model's own request is the model."""
        return False

    def get_response_sender(self) -> InferenceResponseSender:
        """Refuse: requests to other models are answered by them."""
        raise TritonModelException("a request to another model has no response sender")

    def exec(self, decoupled: bool = False) -> InferenceResponse | ResponseIterator:  # noqa: FBT001, FBT002
        """Ask the other model and wait for its answer; from a decoupled model, return its answers to iterate over."""
        call = self._started(decoupled=decoupled)
        return ResponseIterator(call) if decoupled else only(call)

    def async_exec(
        self,
        decoupled: bool = False,  # noqa: FBT001, FBT002
    ) -> "asyncio.Future[InferenceResponse] | asyncio.Future[ResponseIterator]":
        """Ask the other model at once; what is returned is awaited for the answer, or for those to iterate over."""
        loop = asyncio.get_running_loop()
        call = self._started(decoupled=decoupled)
        if not decoupled:
            return loop.run_in_executor(None, only, call)
        answered: asyncio.Future[ResponseIterator] = loop.create_future()
        answered.set_result(ResponseIterator(call))
        return answered

    def _started(self, *, decoupled: bool) -> Any:
        here = home.current()
        if here is None or here.host is None or not here.executing:
            raise TritonModelException("BLS is only supported during the 'execute' function.")
        host, trace = here.host, self._trace
        arrays = {tensor._name: tensor._array for tensor in self._inputs}
        return started(
            lambda: host.infer(
                self._model_name,
                self._model_version,
                arrays,
                self._requested,
                request_id=self._request_id,
                correlation_id=self._correlation_id,
                flags=self._flags,
                timeout_us=self._timeout,
                parameters=self._parameters,
                trace_context=trace.get_context() if trace else None,
                decoupled=decoupled,
            )
        )


class ReceivedRequest(InferenceRequest):
    """A request as it came; arrays are made when they are asked for."""

    __slots__ = ("_release", "_request", "_sender")

    _decoupled: ClassVar[bool] = False

    def __init__(self, request: "Request") -> None:
        self._request = request
        self._sender: InferenceResponseSender | None = None
        self._release = RELEASE_ALL

    def inputs(self) -> list[Tensor]:
        """Return the inputs."""
        return [Tensor(name, array) for name, array in self._request.inputs.items()]

    def request_id(self) -> str:
        """Return the client's name for the request; empty when it gave none."""
        return self._request.id

    def correlation_id(self) -> int | str:
        """Return the sequence's id; 0 for none."""
        return self._request.correlation_id

    def requested_output_names(self) -> set[str]:
        """Return the names of the outputs that are wanted."""
        return set(self._request.requested_outputs)

    def parameters(self) -> str:
        """Return what the client sent besides, as JSON."""
        return json.dumps(self._request.parameters)

    def flags(self) -> int:
        """Return the flags of the request's place in its sequence."""
        return self._request.flags

    def set_flags(self, flags: int) -> None:
        """Set the flags of the request's place in its sequence."""
        self._request.flags = flags

    def timeout(self) -> int:
        """Return the client's limit for the time in the queue, in microseconds; 0 for none."""
        return self._request.timeout_us

    def trace(self) -> InferenceTrace:
        """Return the trace the request belongs to."""
        return InferenceTrace(self._request.trace_context)

    def preferred_memory(self) -> PreferredMemory:
        """Return where the answer is kept: in main memory."""
        return PreferredMemory()

    def is_cancelled(self) -> bool:
        """Tell whether the client went away."""
        return self._request.is_cancelled()

    def get_response_sender(self) -> InferenceResponseSender:
        """Return what sends the responses of this request, in place of returning them."""
        if self._sender is None:
            self._sender = InferenceResponseSender(self._request.responder, decoupled=self._decoupled)
        return self._sender

    def set_release_flags(self, flags: int) -> None:
        """Say what happens after ``execute``: whether the request is done, or is executed once more."""
        self._release = flags

    def _started(self, *, decoupled: bool) -> Any:  # noqa: ARG002 - refuses either way
        raise TritonModelException(
            "a request that was received cannot be executed: make an InferenceRequest with `model_name`"
        )


class DecoupledRequest(ReceivedRequest):
    """A request to a model that may send any number of responses."""

    __slots__ = ()

    _decoupled = True
