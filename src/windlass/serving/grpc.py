"""How gRPC is served."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GrpcTls:
    """The files, in PEM, that make gRPC speak TLS.

    ``certificate`` is the server's, followed by those that lead to its issuer, ``key`` belongs to it. Where
    ``clients`` names the issuers of clients' certificates, clients without one are not heard.
    """

    certificate: Path
    key: Path
    clients: Path | None = None


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """How long connections live, how clients are found that went without a word, and how they are trusted.

    ``compression_level`` is the work put into compressing the answers of inference: ``none``, ``low``, ``medium`` or
    ``high``.
    """

    keepalive_time_ms: int = 7_200_000
    keepalive_timeout_ms: int = 20_000
    keepalive_permit_without_calls: bool = True
    max_connection_age_ms: int | None = None
    max_connection_age_grace_ms: int | None = None
    tls: GrpcTls | None = None
    compression_level: str = "none"
