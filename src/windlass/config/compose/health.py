"""Health checks. One that asks the container itself over HTTP is understood as such: a cluster does that by itself."""

import re
from urllib.parse import urlsplit

from windlass.config.compose.amounts import seconds, words
from windlass.config.compose.section import Section
from windlass.config.compose.values import Health

_URL = re.compile(r"https?://[^\s'\"|;&)]+")
_ASKS = re.compile(r"\b(curl|wget)\b|urllib|requests\.get|httpx\.get")
_HERE = {"localhost", "127.0.0.1", "0.0.0.0", "::1"}  # noqa: S104


def health(section: Section) -> Health | None:
    """Read the ``healthcheck`` of a service; ``None`` where there is none, or it is switched off."""
    test, disabled = section.take("test"), section.take("disable", False)
    interval, timeout = seconds(section.take("interval"), 30.0), seconds(section.take("timeout"), 30.0)
    retries, start = int(section.take("retries", 3)), seconds(section.take("start_period"), 0.0)
    section.take("start_interval")
    section.finish()
    command = _command(test)
    if disabled or not command:
        return None
    path, port, scheme = _request(command)
    return Health(command, path, port, scheme, interval, timeout, retries, start)


def _command(test: object) -> tuple[str, ...]:
    if isinstance(test, str):
        return ("/bin/sh", "-c", test)
    listed = words(test) or ()
    if not listed or listed[0] == "NONE":
        return ()
    if listed[0] == "CMD-SHELL":
        return ("/bin/sh", "-c", " ".join(listed[1:]))
    return listed[1:] if listed[0] == "CMD" else listed


def _request(command: tuple[str, ...]) -> tuple[str, int, str]:
    """Return path, port and scheme where a command does nothing but ask its own container for a page."""
    text = " ".join(command)
    urls = _URL.findall(text)
    # A body, a header or a pipe asks for more than a probe can.
    if (
        len(urls) != 1
        or not _ASKS.search(text)
        or re.search(r"\s(-d|--data|-X|-H|--header|--post-data)\b|grep|jq", text)
    ):
        return "", 0, "HTTP"
    url = urlsplit(urls[0])
    if url.hostname not in _HERE:
        return "", 0, "HTTP"
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return path, url.port or (443 if url.scheme == "https" else 80), url.scheme.upper()
