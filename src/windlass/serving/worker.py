"""The process of a model's instance: ``python -m windlass.serving.worker``, started by a server and by nobody else.

It opens the model as the server would, makes one instance, and executes what it is given. The names of its methods are
what ``backends.isolated`` calls.
"""

import base64
import json
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from windlass._plane import Channel
from windlass.backends import Instance, LoadContext
from windlass.backends.cores import keep_process_to
from windlass.backends.python import open_here
from windlass.backends.python.triton_instance import TritonInstance
from windlass.config import ModelConfig, config_json
from windlass.serving import memory

if TYPE_CHECKING:
    from windlass.backends.python.function_model import FunctionModel
    from windlass.backends.python.triton_model import TritonModel

log = logging.getLogger("windlass")

_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warning"), (logging.INFO, "info"), (0, "verbose"))


class Worker:
    """What the server may ask for while the model is loaded."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._context: LoadContext | None = None
        self._opened: FunctionModel | TritonModel | None = None
        self._instance: Instance | None = None
        self.started: tuple[Instance, int, bytes, str] | None = None

    def call(self, method: str, argument: bytes) -> bytes:
        """Do what the server asks for; raises what the model raises."""
        given = json.loads(argument)
        if method == "open":
            return self._open(given)
        if method == "start":
            return self._start(given)
        if method == "is_ready":
            return self._is_ready()
        raise ValueError(f"unknown method `{method}`")

    def _open(self, given: dict[str, Any]) -> bytes:
        """Import the model and complete its configuration."""
        context = LoadContext(
            given["model_name"],
            given["version"],
            Path(given["model_dir"]),
            Path(given["version_dir"]),
            ModelConfig.FromString(base64.b64decode(given["config"])),
            given["settings"],
            host=self._channel.host(),
        )
        self._context = context
        self._opened = open_here(context)
        return self._opened.config.SerializeToString()

    def _start(self, given: dict[str, Any]) -> bytes:
        """Make the instance at that place of the complete configuration, on the cores that it is kept to."""
        assert self._opened is not None and self._context is not None, "`open` comes first"
        keep_process_to(given["cores"])
        config = ModelConfig.FromString(base64.b64decode(given["config"]))
        (self._instance,) = self._opened.instances(config, only=given["place"])
        text = config_json(config)
        self.started = (self._instance, self._context.version, config.SerializeToString(), text)
        return b"checks" if getattr(self._instance, "checks", False) else b""

    def _is_ready(self) -> bytes:
        """Ask the model whether it is able to execute. One that cannot tell is not."""
        assert isinstance(self._instance, TritonInstance), "only these check"
        try:
            return b"ready" if self._instance.is_ready() else b""
        except Exception:
            log.exception("the readiness check of `%s` failed", self._instance.name)
            return b""

    def close(self) -> None:
        """Let the model say goodbye: the server has ended the conversation."""
        self.started = None
        if self._instance is not None:
            self._instance.close()


class _ToServer(logging.Handler):
    """Writes the process' log into the server's."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line."""
        level = next(name for limit, name in _LEVELS if record.levelno >= limit)
        self._channel.log(level, self.format(record))


def _write_log(channel: Channel) -> None:
    """Send this package's log to the server, which knows how much is wanted. The rest is the model's to configure."""
    own = logging.getLogger("windlass")
    own.addHandler(_ToServer(channel))
    own.setLevel(logging.DEBUG)
    own.propagate = False


def _not_yet(number: int, frame: FrameType | None) -> None:
    """Go on: unlike a signal that is ignored, this one is not ignored by the programs that a model starts as well."""


def _obey() -> None:
    """Let a fork of the model end when it is told to, such as the workers of a pool."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def main() -> None:
    """Serve one instance until the server ends the conversation."""
    # The server decides when it is over, and tells by ending the conversation.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _not_yet)
    os.register_at_fork(after_in_child=_obey)
    memory.keep_freed()
    try:
        channel = Channel()
    except OSError:
        sys.stderr.write("error: this program is started by a server, not by hand\nhint: windlass serve REPOSITORY\n")
        sys.exit(2)
    # A model that reads its standard input finds it empty, instead of what its server says.
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    _write_log(channel)
    channel.serve(Worker(channel))
    sys.stdout.flush()
    sys.stderr.flush()
    # Neither threads nor processes that a model left behind outlive it.
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
