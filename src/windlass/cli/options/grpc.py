"""gRPC: where it listens, how it looks after connections, and whether they are encrypted."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from windlass.cli.options.option import BooleanOption, Section, Settings, Values, option
from windlass.errors import UsageError

if TYPE_CHECKING:
    from windlass.serving.grpc import GrpcTls

_FILE = click.Path(path_type=Path)

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
    option(
        "--grpc-infer-response-compression-level",
        type=click.Choice(["none", "low", "medium", "high"]),
        default="none",
        help="Work put into compressing the answers of inference, for clients that read it; with none, those who "
        "compress are answered alike.",
    ),
    BooleanOption("--grpc-use-ssl", default=False, help="Speak TLS."),
    BooleanOption(
        "--grpc-use-ssl-mutual", default=False, help="Speak TLS, and hear only clients that have a certificate."
    ),
    option("--grpc-server-cert", type=_FILE, metavar="FILE", help="The server's certificate, in PEM."),
    option("--grpc-server-key", type=_FILE, metavar="FILE", help="The key that belongs to it, in PEM."),
    option("--grpc-root-cert", type=_FILE, metavar="FILE", help="Issuers of the clients' certificates, in PEM."),
    option(
        "--grpc-header-forward-pattern",
        default="",
        metavar="REGEX",
        help="Metadata whose key holds a match becomes parameters of the request.",
    ),
    option(
        "--grpc-restricted-protocol",
        multiple=True,
        metavar="CATEGORY,...:KEY=VALUE",
        help="Operations for those only who send `triton-grpc-protocol-KEY` with their call; categories as for REST.",
    ),
)


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    from windlass.serving.grpc import GrpcSettings

    return {
        "grpc_port": values["grpc_port"] if values["allow_grpc"] else None,
        "grpc_address": values["grpc_address"],
        "reuse_grpc_port": values["reuse_grpc_port"],
        "grpc_header_forward_pattern": values["grpc_header_forward_pattern"],
        "grpc_restricted_protocol": values["grpc_restricted_protocol"],
        "grpc": GrpcSettings(
            keepalive_time_ms=values["grpc_keepalive_time"],
            keepalive_timeout_ms=values["grpc_keepalive_timeout"],
            keepalive_permit_without_calls=values["grpc_keepalive_permit_without_calls"],
            max_connection_age_ms=values["grpc_max_connection_age"],
            max_connection_age_grace_ms=values["grpc_max_connection_age_grace"],
            tls=_tls(values),
            compression_level=values["grpc_infer_response_compression_level"],
        ),
    }


def _tls(values: Values) -> "GrpcTls | None":
    from windlass.serving.grpc import GrpcTls

    mutual = values["grpc_use_ssl_mutual"]
    if not (mutual or values["grpc_use_ssl"]):
        return None
    asked = "--grpc-use-ssl-mutual" if mutual else "--grpc-use-ssl"
    return GrpcTls(
        _file(values, "--grpc-server-cert", asked),
        _file(values, "--grpc-server-key", asked),
        _file(values, "--grpc-root-cert", asked) if mutual else None,
    )


def _file(values: Values, name: str, asked: str) -> Path:
    path: Path | None = values[name.removeprefix("--").replace("-", "_")]
    if path is None:
        raise UsageError(f"option `{asked}` needs `{name}`", hint=f"name a PEM file: `{name} FILE`")
    return path


SECTION = Section("gRPC", OPTIONS, settings)
