"""The gateway: what the outside may reach, and how much of it."""

from typing import Literal, Self

from pydantic import Field, model_validator

from windlass.config.project.part import Part
from windlass.config.project.quantities import Bytes, Duration, Network, Port, SecretName


class Tls(Part):
    """A certificate and its key, as secrets."""

    certificate: SecretName
    """The secret with the certificate chain (PEM)."""
    key: SecretName
    """The secret with its private key (PEM)."""
    minimum: Literal["1.2", "1.3"] = "1.2"
    """The oldest version of TLS that is spoken."""
    client_ca: SecretName | None = None
    """The secret with the authority that must have signed a client's certificate, for mutual TLS."""


class Auth(Part):
    """Who may ask: people with a password, or programs with a key."""

    basic: SecretName | None = None
    """The secret with users and hashed passwords, a line each as `htpasswd` writes them."""
    keys: SecretName | None = None
    """The secret with API keys, a line each: `client-name key`. Clients send `Authorization: Bearer KEY`."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.basic is None) == (self.keys is None):
            raise ValueError("expected either `basic` or `keys`")
        return self


class RateLimit(Part):
    """How many requests one client may send."""

    requests_per_second: float = Field(gt=0)
    """The rate that is never refused."""
    burst: int = Field(default=20, ge=0)
    """How many requests may come at once above that."""
    per: Literal["address", "client"] = "address"
    """What one client is: its network address, or its user or key."""
    connections: int | None = Field(default=None, ge=1)
    """How many connections one client may have open."""


class Timeouts(Part):
    """How long the gateway waits for others."""

    connect: Duration = 2.0
    """For a server to take a connection."""
    read: Duration = 60.0
    """For a server to send something more."""
    send: Duration = 60.0
    """For a client to take something more."""


class Gateway(Part):
    """One door for all services: routes by model, ends TLS, knows clients, limits."""

    host: str | None = Field(default=None, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$")
    """The name that clients use."""
    bind: str = "127.0.0.1"
    """The address that is listened on: this machine alone, unless said otherwise."""
    port: Port = 8080
    """The port for REST, and for gRPC too where TLS is on."""
    grpc_port: Port = 8081
    """The port for gRPC without TLS."""
    tls: Tls | None = None
    """The certificate; plain text where left out."""
    auth: Auth | None = None
    """Who may ask; everybody who reaches the door where left out."""
    rate_limit: RateLimit | None = None
    """How much one client may ask; no limit where left out."""
    max_body: Bytes = 67108864
    """The largest request."""
    timeouts: Timeouts = Timeouts()
    """How long the gateway waits."""
    allow: tuple[Network, ...] = ()
    """Networks that clients may come from; all where left out."""
    image: str = "nginx:1.30-alpine"
    """The image of the gateway where it is a container."""

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.tls is None and self.port == self.grpc_port:
            raise ValueError(f"without TLS `port` and `grpc_port` must differ: both are {self.port}")
        return self
