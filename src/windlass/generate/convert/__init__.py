"""A Compose file of any services becomes Kubernetes manifests; what has no equivalent is told beside them."""

from windlass.generate.convert.choice import Choice
from windlass.generate.convert.manifests import manifests

__all__ = ["Choice", "manifests"]
