"""gRPC: where it listens, how it looks after connections."""

import click

from windlass.cli.options.option import BooleanOption, Section, Settings, Values, option

OPTIONS = (
    BooleanOption("--allow-grpc", default=True, help="Serve gRPC."),
    option("--grpc-address", metavar="ADDRESS", show_default="--host", help="Address of gRPC."),
    option("--grpc-port", type=int, default=8001, metavar="PORT", help="Port of gRPC; 0 takes a free one."),
    BooleanOption(
        "--reuse-grpc-port", default=False, help="Share the port of gRPC with other servers that do the same."
    ),
    option(
        "--grpc-keepalive-time",
        type=click.IntRange(min=1),
        default=7_200_000,
        metavar="MS",
        help="How often a client is asked whether it is still there.",
    ),
    option(
        "--grpc-keepalive-timeout",
        type=click.IntRange(min=1),
        default=20_000,
        metavar="MS",
        help="How long it has to answer.",
    ),
    BooleanOption(
        "--grpc-keepalive-permit-without-calls", default=True, help="Ask clients without calls in flight as well."
    ),
    option(
        "--grpc-max-connection-age",
        type=click.IntRange(min=1),
        metavar="MS",
        show_default="no end",
        help="How long a connection lives, give or take a tenth.",
    ),
    option(
        "--grpc-max-connection-age-grace",
        type=click.IntRange(min=0),
        metavar="MS",
        show_default="as long as they take",
        help="How long an old connection may finish its calls.",
    ),
)


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    from windlass.serving.grpc import GrpcSettings

    return {
        "grpc_port": values["grpc_port"] if values["allow_grpc"] else None,
        "grpc_address": values["grpc_address"],
        "reuse_grpc_port": values["reuse_grpc_port"],
        "grpc": GrpcSettings(
            keepalive_time_ms=values["grpc_keepalive_time"],
            keepalive_timeout_ms=values["grpc_keepalive_timeout"],
            keepalive_permit_without_calls=values["grpc_keepalive_permit_without_calls"],
            max_connection_age_ms=values["grpc_max_connection_age"],
            max_connection_age_grace_ms=values["grpc_max_connection_age_grace"],
        ),
    }


SECTION = Section("gRPC", OPTIONS, settings)
