"""gRPC: where it listens, how it looks after connections."""

from windlass.cli.options.option import BooleanOption, Section, Settings, Values, option

OPTIONS = (
    BooleanOption("--allow-grpc", default=True, help="Serve gRPC."),
    option("--grpc-address", metavar="ADDRESS", show_default="--host", help="Address of gRPC."),
    option("--grpc-port", type=int, default=8001, metavar="PORT", help="Port of gRPC; 0 takes a free one."),
    BooleanOption(
        "--reuse-grpc-port", default=False, help="Share the port of gRPC with other servers that do the same."
    ),
)


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    return {
        "grpc_port": values["grpc_port"] if values["allow_grpc"] else None,
        "grpc_address": values["grpc_address"],
        "reuse_grpc_port": values["reuse_grpc_port"],
    }


SECTION = Section("gRPC", OPTIONS, settings)
