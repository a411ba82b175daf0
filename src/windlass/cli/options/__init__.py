"""What ``windlass serve`` can be told, one file for each noun: its options, and what they set up in the server."""

from windlass.cli.options import (
    backends,
    cache,
    control,
    grpc,
    limits,
    logs,
    metrics,
    repository,
    rest,
    server,
    trace,
    tritonserver,
)
from windlass.cli.options.option import Section

SECTIONS: tuple[Section, ...] = (
    repository.SECTION,
    control.SECTION,
    server.SECTION,
    rest.SECTION,
    grpc.SECTION,
    metrics.SECTION,
    logs.SECTION,
    trace.SECTION,
    backends.SECTION,
    cache.SECTION,
    limits.SECTION,
    tritonserver.WITHOUT_EFFECT,
    tritonserver.NOT_OFFERED,
)
