"""What every container of a project has in common: what it may not do, how much it may use, where its log goes."""

from windlass.generate.compose.remote import Mapping, remote
from windlass.release import Release

__all__ = ["FORWARD", "Mapping", "confined", "limits", "logging", "sandboxed", "size"]

_RUNTIMES = {"gvisor": "runsc", "kata": "io.containerd.kata.v2"}
FORWARD = "127.0.0.1:24224"


def confined(
    release: Release, *, user: str | None, secrets: tuple[str, ...] = (), add: tuple[str, ...] = (), tmp: str = "256m"
) -> Mapping:
    """Return what confines a container of the project's security profile.

    ``add`` are the capabilities that it cannot do without; ``tmp`` is the size of its `/tmp`.
    """
    security = release.project.security
    found: Mapping = {} if user is None else {"user": user}
    options = [] if security.seccomp == "RuntimeDefault" else [f"seccomp={release.root}/{security.seccomp}"]
    if security.profile == "restricted":
        if any(_handed_over(release, name) for name in secrets):
            found["#root"] = "Compose cannot hand a secret of the environment to a container whose root is read-only."
        else:
            found["read_only"] = True
        found["cap_drop"] = ["ALL"]
        if add:
            found["cap_add"] = list(add)
        options.insert(0, "no-new-privileges:true")
    found["tmpfs"] = [f"/tmp:mode=1777,size={tmp}"]
    if options:
        found["security_opt"] = options
    return found


def sandboxed(release: Release) -> Mapping:
    """Return the container runtime of servers, where the project wants another one than Docker's."""
    sandbox = release.project.security.sandbox
    return {"runtime": _RUNTIMES[sandbox]} if sandbox else {}


def limits(release: Release, *, cpus: float | None = None, memory: int | None = None) -> Mapping:
    """Return the most that a container may use."""
    found: Mapping = {}
    if cpus:
        found["cpus"] = f"{cpus:g}"
    if memory:
        found["memory"] = size(memory)
    return {**found, "pids": release.project.security.pids}


def logging(release: Release, service: str) -> Mapping:
    """Return where a container's log goes: rotated files, and where asked to what ships them."""
    logs = release.project.observability.logs
    if logs.ship in ("fluent-bit", "fluentd"):
        options = {"fluentd-address": FORWARD, "fluentd-async": "true", "tag": f"{release.project.name}.{service}"}
        return {"driver": "fluentd", "options": options}
    options = {"max-size": logs.max_size, "max-file": str(logs.max_files)}
    # The tag stands in every line of the file: by it Filebeat knows the project's containers.
    tagged = {"tag": f"{release.project.name}.{service}"} if logs.ship == "elk" else {}
    return {"driver": "json-file", "options": options | tagged}


def size(amount: int) -> str:
    """Write bytes as Docker reads them."""
    for unit, factor in (("g", 2**30), ("m", 2**20), ("k", 2**10)):
        if amount % factor == 0:
            return f"{amount // factor}{unit}"
    return f"{amount}b"


def _handed_over(release: Release, name: str) -> bool:
    """Tell whether Compose makes a secret's file itself, and does not mount one."""
    return release.project.secrets[name].file is None or remote(release)
