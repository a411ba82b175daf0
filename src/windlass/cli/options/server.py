"""The server as a whole: its name, its threads, how it starts and ends."""

import os

import click

from windlass.cli.options.option import BooleanOption, Section, Settings, Values, option

OPTIONS = (
    option("--id", "server_id", default="windlass", metavar="NAME", help="The server's name in its metadata."),
    option("--host", default="127.0.0.1", metavar="ADDRESS", help="Address to listen on."),
    option(
        "--network-threads",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        show_default="one for two cores",
        help="Network threads, for REST and gRPC together.",
    ),
    option(
        "--busy-poll-us",
        type=click.IntRange(min=0, max=1000),
        default=100,
        metavar="US",
        help="How long a network thread looks for the next request before it sleeps, while requests follow one another "
        "as closely as that and no model needs the core: waking up takes longer. 0 never looks.",
    ),
    BooleanOption("--strict-readiness", default=True, help="Ready only when every model is."),
    BooleanOption(
        "--allow-client-shm",
        default=False,
        help="Let clients on this machine keep tensors in shared memory. The server reads and writes segments for "
        "them: allow it to those you would let do that themselves.",
    ),
    option(
        "--exit-timeout-secs",
        "--exit-timeout",
        type=click.FloatRange(min=0),
        default=30.0,
        metavar="SECONDS",
        help="How long to finish what is in flight.",
    ),
)


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    # Triton's threads for REST do part of what ours do for both protocols; more than cores would only take turns.
    threads = values["network_threads"] or min(values["http_thread_count"] or 0, os.cpu_count() or 1)
    return {
        "server_id": values["server_id"],
        "host": values["host"],
        "reactors": threads,
        "busy_poll_us": values["busy_poll_us"],
        "strict_readiness": values["strict_readiness"],
        "client_shm": values["allow_client_shm"],
        "exit_timeout_s": values["exit_timeout_secs"],
    }


SECTION = Section("Server", OPTIONS, settings)
