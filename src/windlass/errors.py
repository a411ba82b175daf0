"""Every exception of windlass: a code that becomes a status, a sentence, and what to do next.

Nothing is printed or translated here: the command line renders these, and the data plane maps their codes.
"""


class WindlassError(Exception):
    """The root of the tree. ``str()`` is the message alone.

    ``code`` is the protocol's: clients see the status that belongs to it. ``where`` is a file, perhaps with a
    line; ``found`` is what was there instead; ``hint`` is one thing to type or to do.
    """

    code = "INTERNAL"

    def __init__(
        self, message: str, *, where: str | None = None, found: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.found = found
        self.hint = hint


class ConfigError(WindlassError):
    """A configuration cannot be read or means nothing."""

    code = "INVALID_ARG"


class RepositoryError(WindlassError):
    """The model repository is not as it should be."""

    code = "INVALID_ARG"


class BackendError(WindlassError):
    """A backend is missing, or cannot load or execute a model."""

    code = "INTERNAL"


class PlacementError(BackendError):
    """An instance is to run on a device that is not there."""

    code = "INVALID_ARG"


class UnknownBackendError(BackendError):
    """No backend of that name is there."""

    code = "INVALID_ARG"


class ModelLoadError(WindlassError):
    """A model asked for over the network or at start-up did not load."""

    code = "INVALID_ARG"


class UnavailableError(WindlassError):
    """What was asked for is refused in the server's present state."""

    code = "UNAVAILABLE"


class ServerError(WindlassError):
    """The server cannot start or go on."""

    code = "INTERNAL"


class ClientError(WindlassError):
    """A server answered with an error, or not at all (``status`` is ``None`` then)."""

    code = "UNKNOWN"

    def __init__(self, message: str, *, status: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class TargetError(WindlassError):
    """What runs on this machine, in containers or in a cluster could not be reached or changed."""

    code = "UNAVAILABLE"


class ConversionError(WindlassError):
    """A model cannot be had in another format or in fewer bits."""

    code = "UNSUPPORTED"


class DifferenceError(WindlassError):
    """What was made of a model does not answer as the model does, or it cannot be told whether it does."""

    code = "INTERNAL"


class RoomError(WindlassError):
    """There is too little memory, or too little room on a disk."""

    code = "UNAVAILABLE"


class UsageError(WindlassError):
    """A command was given something it cannot work with."""

    code = "INVALID_ARG"


def code_prefix(error: BaseException) -> str:
    """Return the words the protocol puts before the reason of a failed load: ``Internal: ``."""
    code = error.code if isinstance(error, WindlassError) else "INTERNAL"
    words = {
        "UNKNOWN": "Unknown",
        "INTERNAL": "Internal",
        "NOT_FOUND": "Not found",
        "INVALID_ARG": "Invalid argument",
        "UNAVAILABLE": "Unavailable",
        "UNSUPPORTED": "Unsupported",
        "ALREADY_EXISTS": "Already exists",
    }
    return f"{words.get(code, 'Unknown')}: "
