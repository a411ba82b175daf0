"""Traces: which requests are followed, and where what was seen of them goes."""

from windlass.cli.options.option import Section, Settings, Values, option

_HINT = "as older start commands say it."

# What older start commands call a setting, and how it is said now.
_OLD = {
    "trace_file": "triton,file",
    "trace_level": "level",
    "trace_rate": "rate",
    "trace_count": "count",
    "trace_log_frequency": "triton,log-frequency",
}

OPTIONS = (
    option(
        "--trace-config",
        multiple=True,
        metavar="[MODE,]NAME=VALUE",
        help="Follow requests: level=TIMESTAMPS or TENSORS (both may be given), rate=N for each N-th, count=N, "
        "mode=triton (triton,file=PATH; triton,log-frequency=N) or mode=opentelemetry (opentelemetry,url=URL; "
        "opentelemetry,protocol=grpc; opentelemetry,resource=NAME=VALUE).",
    ),
    *(
        option(
            f"--{old.replace('_', '-')}", multiple=True, metavar="VALUE", help=f"`--trace-config {name}=...`, {_HINT}"
        )
        for old, name in _OLD.items()
    ),
)


def settings(values: Values) -> Settings:
    """Return what the server is told."""
    old = tuple(f"{name}={value}" for given, name in _OLD.items() for value in values[given])
    return {"trace_config": (*old, *values["trace_config"])}


SECTION = Section("Traces", OPTIONS, settings)
