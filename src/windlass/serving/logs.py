"""The server's log on stderr: lines for people, or JSON for machines."""

import json
import logging
import sys
import time

_NAMES = {"WARNING": "WARN"}


class PlainFormatter(logging.Formatter):
    """``2026-11-21 09:30:00.123 INFO  loaded model``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, with the traceback behind it where there is one."""
        level = _NAMES.get(record.levelname, record.levelname)
        return f"{_time(record)} {level:<5} {_message(self, record)}"


class JsonFormatter(logging.Formatter):
    """One object a line: ``time``, ``level``, ``message``, and what else the line carries."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        fields = {"time": _time(record), "level": record.levelname.lower(), "message": _message(self, record)}
        return json.dumps(fields | getattr(record, "fields", {}), ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created)) + f".{int(record.msecs):03d}"


def _message(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    message = record.getMessage()
    return f"{message}\n{formatter.formatException(record.exc_info)}" if record.exc_info else message


def configure(*, as_json: bool = False) -> None:
    """Send windlass' log to stderr. Called once, by whoever owns the process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else PlainFormatter())
    logger = logging.getLogger("windlass")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
