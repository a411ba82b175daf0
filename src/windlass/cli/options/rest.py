"""REST: where it listens, what it takes, and from whom."""

import click

from windlass.cli.options.option import BooleanOption, Section, Settings, Values, option

OPTIONS = (
    BooleanOption("--allow-http", default=True, help="Serve REST."),
    option("--http-address", metavar="ADDRESS", show_default="--host", help="Address of REST."),
    option("--http-port", type=int, default=8000, metavar="PORT", help="Port of REST; 0 takes a free one."),
    BooleanOption(
        "--reuse-http-port", default=False, help="Share the port of REST with other servers that do the same."
    ),
    option(
        "--http-thread-count",
        type=click.IntRange(min=1),
        metavar="N",
        help="The same as --network-threads, but never more than cores.",
    ),
    option(
        "--http-max-input-size",
        type=click.IntRange(min=1),
        default=64 << 20,
        metavar="BYTES",
        help="Largest REST body.",
    ),
    option(
        "--http-header-forward-pattern",
        default="",
        metavar="REGEX",
        help="Headers whose name holds a match become parameters of the request.",
    ),
    option(
        "--http-restricted-api",
        multiple=True,
        metavar="CATEGORY,...:HEADER=VALUE",
        help="Operations for those only who send the header: health, metadata, inference, shared-memory, model-config, "
        "model-repository, statistics, trace, logging.",
    ),
)


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    return {
        "http_port": values["http_port"] if values["allow_http"] else None,
        "http_address": values["http_address"],
        "reuse_http_port": values["reuse_http_port"],
        "http_max_input_bytes": values["http_max_input_size"],
        "http_header_forward_pattern": values["http_header_forward_pattern"],
        "http_restricted_api": values["http_restricted_api"],
    }


SECTION = Section("REST", OPTIONS, settings)
