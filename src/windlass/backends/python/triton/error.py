"""Errors as models name them."""

from collections.abc import Iterator
from contextlib import contextmanager

from windlass.errors import WindlassError


class TritonModelException(Exception):
    """The exception models raise, and are shown."""


class TritonError:
    """An error to put into a response; ``code`` is one of the class's constants."""

    UNKNOWN, INTERNAL, NOT_FOUND, INVALID_ARG = "UNKNOWN", "INTERNAL", "NOT_FOUND", "INVALID_ARG"
    UNAVAILABLE, UNSUPPORTED, ALREADY_EXISTS, CANCELLED = (
        "UNAVAILABLE",
        "UNSUPPORTED",
        "ALREADY_EXISTS",
        "CANCELLED",
    )

    __slots__ = ("_code", "_message")

    def __init__(self, message: str, code: str = INTERNAL) -> None:
        self._message = message
        self._code = code

    def code(self) -> str:
        """Return the code."""
        return self._code

    def message(self) -> str:
        """Return the text."""
        return self._message


def failure(error: TritonError) -> WindlassError:
    """Return the error as what the data plane takes."""
    made = WindlassError(error.message())
    made.code = error.code()
    return made


@contextmanager
def explained(what: str, instance: str) -> Iterator[None]:
    """Tell a model what failed, in the words it knows, of what it asked the server."""
    try:
        yield
    except WindlassError as error:
        reason = f"Failed to process the request for model '{instance}', message: {error.message}"
        raise TritonModelException(f"{what}: {reason}") from None
