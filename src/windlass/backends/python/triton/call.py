"""A call of another model on its way: its answers become responses."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from windlass.backends.python.triton.error import TritonError
from windlass.backends.python.triton.response import InferenceResponse
from windlass.backends.python.triton.tensor import Tensor
from windlass.errors import WindlassError

if TYPE_CHECKING:
    from windlass.backends.host import Replies


class Refused:
    """A call that was refused before it was queued: its only answer is the reason."""

    def __init__(self, error: WindlassError) -> None:
        self._error: WindlassError | None = error

    def __next__(self) -> tuple[None, tuple[str, str], dict[str, Any]]:
        error, self._error = self._error, None
        if error is None:
            raise StopIteration
        return None, (error.code, error.message), {}

    def cancel(self) -> None:
        """Lose interest in the reason."""
        self._error = None


def started(ask: "Callable[[], Replies]") -> "Replies | Refused":
    """Start a call; a refusal is an answer too."""
    try:
        return ask()
    except WindlassError as error:
        return Refused(error)


def only(call: "Replies | Refused") -> InferenceResponse:
    """Wait for the only answer."""
    try:
        return _response(call)
    except StopIteration:
        return InferenceResponse(error=TritonError("the model was asked and gave no answer"))


def _response(call: "Replies | Refused") -> InferenceResponse:
    outputs, error, parameters = call.__next__()
    if error is not None:
        code, message = error
        return InferenceResponse(error=TritonError(message, code))
    response = InferenceResponse([Tensor(name, array) for name, array in (outputs or {}).items()])
    response._parameters = parameters  # checked where they come from
    return response


class ResponseIterator:
    """The responses of a decoupled model. The last may be empty."""

    def __init__(self, call: "Replies | Refused") -> None:
        self._call = call

    def __iter__(self) -> "ResponseIterator":
        return self

    def __next__(self) -> InferenceResponse:
        return _response(self._call)

    def cancel(self) -> None:
        """Tell the other model that nobody waits for the rest."""
        self._call.cancel()
