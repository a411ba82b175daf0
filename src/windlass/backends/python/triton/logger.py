"""The server's log, as models write to it."""

import logging
from enum import IntEnum

log = logging.getLogger("windlass.model")


class LogLevel(IntEnum):
    """How grave a line is."""

    INFO = logging.INFO
    WARNING = logging.WARNING
    ERROR = logging.ERROR
    VERBOSE = logging.DEBUG


class Logger:
    """Writes to the server's log."""

    LogLevel = LogLevel
    INFO, WARNING, ERROR, VERBOSE = LogLevel.INFO, LogLevel.WARNING, LogLevel.ERROR, LogLevel.VERBOSE

    @staticmethod
    def log(message: str, level: int = LogLevel.INFO) -> None:
        """Write one line."""
        log.log(level, "%s", message)

    @staticmethod
    def log_info(message: str) -> None:
        """Write one line of information."""
        log.info("%s", message)

    @staticmethod
    def log_warn(message: str) -> None:
        """Write one warning."""
        log.warning("%s", message)

    @staticmethod
    def log_error(message: str) -> None:
        """Write one error."""
        log.error("%s", message)

    @staticmethod
    def log_verbose(message: str) -> None:
        """Write one line that is shown on request only."""
        log.debug("%s", message)
