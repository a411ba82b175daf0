"""What ``windlass serve`` can be told, one file for each noun: its options, and what they set up in the server."""

from windlass.cli.options import (
    backends,
    cache,
    control,
    grpc,
    limits,
    metrics,
    repository,
    rest,
    server,
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
    backends.SECTION,
    cache.SECTION,
    limits.SECTION,
    tritonserver.WITHOUT_EFFECT,
    tritonserver.NOT_OFFERED,
)
