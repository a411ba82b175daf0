"""What containers may not do, and where secrets are. No secret ever stands in a project file."""

from typing import Literal, Self

from pydantic import Field, model_validator

from windlass.config.project.part import Part
from windlass.config.project.quantities import Bytes, EnvironmentName, SecretName


class Security(Part):
    """How containers are confined."""

    profile: Literal["baseline", "restricted"] = "restricted"
    """`restricted` drops every capability, makes the root file system read-only, forbids new privileges and wants a
    user that is not root. `baseline` leaves the root writable and the default capabilities."""
    seccomp: str = "RuntimeDefault"
    """The system calls that are allowed: `RuntimeDefault`, or a profile file relative to the project file (on
    Kubernetes: on every node)."""
    sandbox: Literal["gvisor", "kata"] | None = None
    """A container runtime with a kernel of its own."""
    runtime_rules: bool = False
    """Whether rules for Falco are written, which tell of a shell or an unknown connection in a server."""
    pids: int = Field(default=1024, ge=16)
    """How many processes and threads a container may have."""


class External(Part):
    """A secret in a store that the cluster's External Secrets operator reads."""

    store: str
    """The name of the `SecretStore` or `ClusterSecretStore`."""
    key: str
    """The name of the secret in the store."""
    property: str | None = None
    """A member of it."""
    cluster: bool = True
    """Whether the store is a `ClusterSecretStore`."""


class Csi(Part):
    """A secret that the Secrets Store CSI driver mounts."""

    provider: Literal["vault", "azure", "aws", "gcp"]
    """Who holds it."""
    parameters: dict[str, str]
    """What the provider needs to find it."""
    object: str
    """The name of the file it becomes."""


class Existing(Part):
    """A secret that the cluster has already."""

    name: str
    """The name of the Kubernetes Secret."""
    key: str
    """The key in it."""


class Secret(Part):
    """Where a secret is, not what it is. A target uses the first place that it understands."""

    file: str | None = None
    """A file, relative to the project file. Keep it out of version control."""
    environment: EnvironmentName | None = None
    """A variable in the environment of whoever starts the services."""
    external: External | None = None
    """In a store, for External Secrets."""
    csi: Csi | None = None
    """In a store, for the Secrets Store CSI driver."""
    existing: Existing | None = None
    """In a Kubernetes Secret."""

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if all(place is None for place in (self.file, self.environment, self.external, self.csi, self.existing)):
            raise ValueError("expected at least one of `file`, `environment`, `external`, `csi`, `existing`")
        return self


class Quota(Part):
    """What the services of one tenant may use together."""

    cpus: float | None = Field(default=None, gt=0)
    """CPU cores."""
    memory: Bytes | None = None
    """Memory."""
    gpus: int | None = Field(default=None, ge=0)
    """GPUs."""
    pods: int | None = Field(default=None, ge=1)
    """Pods."""


class Tenant(Part):
    """Somebody whose services are kept apart: a namespace, a quota, callers of its own."""

    quota: Quota = Quota()
    """What its services may use together."""
    keys: SecretName | None = None
    """The secret with the API keys that may call its services; the gateway's keys where left out."""
