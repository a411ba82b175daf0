"""What pods and containers may not do, by the project's security profile."""

from windlass.generate.kubernetes.objects import Object
from windlass.release import Release

_SANDBOXES = {"gvisor": "gvisor", "kata": "kata"}


def pod(release: Release, user: int) -> Object:
    """Return what confines a pod: a user that is not root, and the system calls it may make."""
    seccomp = release.project.security.seccomp
    profile: Object = {"type": "RuntimeDefault"}
    if seccomp != "RuntimeDefault":
        profile = {"type": "Localhost", "localhostProfile": seccomp}
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        # Volumes belong to the group, so that the user can write to them.
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": profile,
    }


def container(release: Release) -> Object:
    """Return what confines a container."""
    if release.project.security.profile == "baseline":
        return {"allowPrivilegeEscalation": False}
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def admission(release: Release) -> dict[str, str]:
    """Return the labels with which a namespace refuses pods that are less confined."""
    profile = release.project.security.profile
    prefix = "pod-security.kubernetes.io"
    return {f"{prefix}/{mode}": profile for mode in ("enforce", "audit", "warn")}


def runtime_class(release: Release, wanted: str | None) -> Object:
    """Return the container runtime of a pod, where it is not the node's own."""
    sandbox = release.project.security.sandbox
    name = wanted or (_SANDBOXES[sandbox] if sandbox else None)
    return {"runtimeClassName": name} if name else {}
