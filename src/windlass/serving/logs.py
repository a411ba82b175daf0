"""The server's log on stderr: lines for people, or JSON for machines."""

import json
import logging
import sys
import time

from windlass.errors import ServerError

_NAMES = {"WARNING": "WARN"}


class PlainFormatter(logging.Formatter):
    """``2026-11-21 09:30:00.123 INFO  loaded model``."""

    iso8601 = False

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, with the traceback behind it where there is one."""
        level = _NAMES.get(record.levelname, record.levelname)
        return f"{_time(record, iso8601=self.iso8601)} {level:<5} {_message(self, record)}"


class JsonFormatter(logging.Formatter):
    """One object a line: ``time``, ``level``, ``message``, and what else the line carries."""

    iso8601 = False

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        fields = {
            "time": _time(record, iso8601=self.iso8601),
            "level": record.levelname.lower(),
            "message": _message(self, record),
        }
        return json.dumps(fields | getattr(record, "fields", {}), ensure_ascii=False)


class Switches(logging.Filter):
    """What of the log is written, and how, as clients of the server may set it while it runs.

    It stands in front of windlass' logger, so that it holds for any handler a program has given it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._logger = logging.getLogger("windlass")
        # The level that a verbose one stands in for.
        self._quieter: int | None = None
        self._off: frozenset[int] = frozenset()

    def set(self, *, info: bool, warning: bool, error: bool, verbose_level: int, time_format: str) -> None:
        """Write the levels that are on; with a verbose level, a line for every request as well."""
        self._logger.addFilter(self)
        levels = {logging.INFO: info, logging.WARNING: warning, logging.ERROR: error}
        self._off = frozenset(level for level, on in levels.items() if not on)
        self._speak(verbose=verbose_level > 0)
        for handler in self._logger.handlers:
            if isinstance(handler.formatter, PlainFormatter | JsonFormatter):
                handler.formatter.iso8601 = time_format == "ISO8601"

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is written."""
        return record.levelno not in self._off

    def close(self) -> None:
        """Leave the logger as it was."""
        self._logger.removeFilter(self)
        self._speak(verbose=False)

    def _speak(self, *, verbose: bool) -> None:
        """Change the level only where a verbose one begins or ends: otherwise it is the program's own."""
        if verbose and self._quieter is None:
            self._quieter = self._logger.level
            self._logger.setLevel(logging.DEBUG)
        elif not verbose and self._quieter is not None:
            self._logger.setLevel(self._quieter)
            self._quieter = None


def _time(record: logging.LogRecord, *, iso8601: bool) -> str:
    if iso8601:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created)) + f".{int(record.msecs):03d}"


def _message(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    message = record.getMessage()
    return f"{message}\n{formatter.formatException(record.exc_info)}" if record.exc_info else message


def configure(*, as_json: bool = False, file: str = "") -> None:
    """Send windlass' log to a file, or to stderr. Called once, by whoever owns the process."""
    try:
        handler = logging.FileHandler(file) if file else logging.StreamHandler(sys.stderr)
    except OSError as error:
        raise ServerError(f"the log cannot be written to `{file}`: {error.strerror}") from None
    handler.setFormatter(JsonFormatter() if as_json else PlainFormatter())
    logger = logging.getLogger("windlass")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
