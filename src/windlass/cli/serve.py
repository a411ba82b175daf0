"""``windlass serve``: a server that ends when it is told to."""

import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import click

from windlass.errors import UsageError

# Options of tritonserver that are known and not offered, with what to do instead.
NOT_OFFERED = {
    "--model-namespacing": "give models in different repositories different names",
    "--rate-limit": "limit instances with `instance_group`",
    "--cache-config": "the response cache is not offered by this version",
    "--trace-config": "traces are not offered by this version",
    "--repository-poll-secs": "use `--model-control-mode explicit` and load over the network",
    "--grpc-use-ssl": "terminate TLS in a proxy in front",
}


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("repository", nargs=-1, type=click.Path(path_type=Path))
@click.option("--model-repository", multiple=True, type=click.Path(path_type=Path), help="The same as REPOSITORY.")
@click.option(
    "--model",
    "--load-model",
    "models",
    multiple=True,
    metavar="NAME",
    help="Serve only this model; repeatable.",
)
@click.option(
    "--model-control-mode",
    type=click.Choice(["none", "explicit"]),
    default="none",
    show_default=True,
    help="none: load all, refuse loading over the network. explicit: load what --model names, then obey.",
)
@click.option("--host", "--http-address", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--http-port", default=8000, show_default=True, help="Port of REST; 0 takes a free one.")
@click.option("--grpc-port", default=8001, show_default=True, help="Port of gRPC; 0 takes a free one.")
@click.option("--metrics-port", default=8002, show_default=True, help="Port of the metrics page; 0 takes a free one.")
@click.option("--allow-http/--no-http", default=True, help="Serve REST.")
@click.option("--allow-grpc/--no-grpc", default=True, help="Serve gRPC.")
@click.option("--allow-metrics/--no-metrics", default=True, help="Serve the metrics page.")
@click.option("--http-max-input-size", default=64 << 20, show_default=True, metavar="BYTES", help="Largest REST body.")
@click.option("--network-threads", default=0, metavar="N", help="Network threads.  [default: one for two cores]")
@click.option("--strict-readiness/--no-strict-readiness", default=True, help="Ready only when every model is.")
@click.option("--exit-on-error", is_flag=True, help="End when a model does not load at start-up.")
@click.option(
    "--exit-timeout",
    "--exit-timeout-secs",
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to finish what is in flight.",
)
@click.option("--model-load-thread-count", default=4, show_default=True, metavar="N", help="Models loaded at a time.")
@click.option(
    "--backend-config",
    multiple=True,
    metavar="BACKEND,KEY=VALUE",
    help="A setting for a backend; repeatable.",
)
@click.option("--id", "server_id", default="windlass", show_default=True, help="The server's name in its metadata.")
@click.option("--json-logs", is_flag=True, help="Log JSON, one object a line.")
def serve(repository: tuple[Path, ...], model_repository: tuple[Path, ...], **options: object) -> None:
    """Serve one or more model REPOSITORY folders.

    SIGTERM or Ctrl-C: the server is unready at once, finishes what is in flight, and exits with 0. A second one ends it
    at once, with 130 (Ctrl-C) or 143.
    """
    paths = _repositories([*repository, *model_repository])
    from windlass.serving import logs, memory

    memory.keep_freed()
    logs.configure(as_json=bool(options.pop("json_logs")))
    run(paths, _settings(options))


def _repositories(paths: list[Path]) -> list[Path]:
    for path in paths:
        name = str(path).partition("=")[0]
        if name.startswith("-"):
            hint = NOT_OFFERED.get(name, "`windlass serve --help` lists the options")
            raise UsageError(f"option `{name}` is not offered", hint=hint)
    if not paths:
        raise UsageError("no model repository was named", hint="windlass serve models/")
    return paths


def _settings(options: dict[str, object]) -> dict[str, object]:
    backend_settings: dict[str, dict[str, str]] = {}
    given = options["backend_config"]
    for text in given if isinstance(given, tuple) else ():
        backend, comma, setting = text.partition(",")
        key, equals, value = (setting if comma else backend).partition("=")
        if not equals:
            raise UsageError(f"--backend-config `{text}`: expected BACKEND,KEY=VALUE")
        backend_settings.setdefault(backend if comma else "", {})[key] = value
    doors = {
        f"{door}_port": options[f"{door}_port"] if options[f"allow_{door}"] else None
        for door in ("http", "grpc", "metrics")
    }
    return {
        **doors,
        "host": options["host"],
        "models": options["models"],
        "control_mode": options["model_control_mode"],
        "exit_on_error": options["exit_on_error"],
        "exit_timeout_s": options["exit_timeout"],
        "strict_readiness": options["strict_readiness"],
        "http_max_input_bytes": options["http_max_input_size"],
        "reactors": options["network_threads"],
        "load_threads": options["model_load_thread_count"],
        "server_id": options["server_id"],
        "backend_settings": backend_settings,
    }


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
    # Draining waits outside Python, where a second signal would not be heard: it has a thread of its own.
    with ThreadPoolExecutor(1) as pool:
        drained = pool.submit(server.drain).result()
    if drained:
        log.info("stopped")
    else:
        log.warning("stopped with requests still in flight, after %s s", settings["exit_timeout_s"])
    server.close()
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
