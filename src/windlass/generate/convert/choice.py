"""What a Compose file does not say and a cluster wants to know."""

from dataclasses import dataclass
from typing import Any

# A small image with a shell and `nc`, for containers that wait.
WAITING_IMAGE = "busybox:1.37.0"


@dataclass(frozen=True, slots=True)
class Choice:
    """Names and classes of the cluster."""

    project: str
    namespace: str
    storage_class: str = ""
    volume_size: str = "10Gi"

    def metadata(self, name: str, **more: Any) -> dict[str, Any]:
        """Return the metadata of an object that belongs to a service, or to the whole project."""
        labels = {
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/part-of": self.project,
            "app.kubernetes.io/managed-by": "windlass",
        }
        return {"name": name, "namespace": self.namespace, "labels": labels, **more}

    def selector(self, name: str) -> dict[str, str]:
        """Return the labels by which the pods of a service are found."""
        return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": self.project}
