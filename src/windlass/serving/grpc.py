"""How gRPC is served."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """How long connections live, and how clients are found that went without a word."""

    keepalive_time_ms: int = 7_200_000
    keepalive_timeout_ms: int = 20_000
    keepalive_permit_without_calls: bool = True
    max_connection_age_ms: int | None = None
    max_connection_age_grace_ms: int | None = None
