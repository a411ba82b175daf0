"""Which versions of a model are served: a function of its policy and of the versions there are."""

from collections.abc import Iterable

from windlass.config import ModelConfig


def select(config: ModelConfig, available: Iterable[int]) -> tuple[int, ...]:
    """Return the versions to serve, ascending. What a ``specific`` policy names and nobody has is left out."""
    versions = sorted(set(available))
    policy = config.version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return tuple(versions)
        case "specific":
            return tuple(version for version in versions if version in policy.specific.versions)
        case _:
            return tuple(versions[-(policy.latest.num_versions or 1) :])
