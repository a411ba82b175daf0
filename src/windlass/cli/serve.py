"""``windlass serve``: a server that ends when it is told to."""

import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import click

from windlass.cli import first
from windlass.cli.options import SECTIONS
from windlass.cli.options.option import Sectioned
from windlass.cli.options.repository import repositories


def _serve(**values: Any) -> None:
    """Serve one or more model REPOSITORY folders.

    SIGTERM or Ctrl-C: the server is unready at once, finishes what is in flight, and exits with 0. A second one ends it
    at once, with 130 (Ctrl-C) or 143.

    Every option of tritonserver is known, as --opt=value and as --opt value.
    """
    paths = repositories(values)
    first.step_aside()
    from windlass.serving import logs, memory

    logs.configure(as_json=values["json_logs"], file=values["log_file"])
    settings: dict[str, object] = {}
    for section in SECTIONS:
        settings |= section.settings(values)
    memory.keep_freed()
    run(paths, settings)


serve = Sectioned(
    "serve",
    SECTIONS,
    click.Argument(["repository"], nargs=-1),
    callback=_serve,
    help=_serve.__doc__,
)


def run(repositories: list[Path], settings: dict[str, object]) -> None:
    """Serve until a signal says otherwise."""
    log = logging.getLogger("windlass")
    told = threading.Event()
    received: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            # Whatever hangs, hangs in another thread: leave without asking it.
            os._exit(128 + number)
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)

    from windlass.serving.server import Server

    server = Server(repositories, **settings)
    server.start()
    _announce(server, log)
    # Python runs signal handlers between the waits of the main thread.
    while not told.wait(timeout=3600):
        pass
    log.info("%s: finishing what is in flight", signal.Signals(received[0]).name)
    # Stopping waits outside Python, where a second signal would not be heard: it has a thread of its own.
    with ThreadPoolExecutor(1) as pool:
        drained = pool.submit(server.stop).result()
    if drained:
        log.info("stopped")
    else:
        log.warning("stopped with requests still in flight, after %s s", settings["exit_timeout_s"])
    sys.exit(0)


def _announce(server: object, log: logging.Logger) -> None:
    from windlass.serving.server import Server

    assert isinstance(server, Server)
    serving = server.serving()
    names = ", ".join(f"{name}:{'+'.join(map(str, versions))}" for name, versions in list(serving.items())[:10])
    more = f" and {len(serving) - 10} more" if len(serving) > 10 else ""
    doors = ", ".join(f"{door} {server.url(door)}" for door in server.addresses)
    count = f"{len(serving)} model{'' if len(serving) == 1 else 's'}"
    what = f"{count} ({names}{more})" if serving else "no model"
    log.info("serving %s on %s", what, doors, extra={"fields": {"models": serving, "addresses": server.addresses}})
