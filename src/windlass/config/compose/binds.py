"""Files and folders of the host that containers see: a cluster has no such host.

A small text file becomes a ConfigMap, one that looks secret a Secret, a folder a claim that somebody fills.
"""

import re
from dataclasses import replace
from pathlib import Path

from windlass.config.compose.section import Notes
from windlass.config.compose.values import File, Kept, Mount, Service

# A ConfigMap holds no more than a MiB in all.
_LARGEST = 256 * 1024
_SECRET_FILE = re.compile(
    r"(htpasswd|passwd|secret|token|credential|\.key$|\.pem$|\.p12$|id_rsa|\.env$)", re.IGNORECASE
)
_SOCKETS = {"/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"}


def unbound(service: Service, folder: Path, notes: Notes) -> tuple[Service, list[Kept], list[Kept]]:
    """Return a service whose mounts a cluster has, with the configs and secrets that its files became."""
    mounts: list[Mount] = []
    configs: list[Kept] = []
    secrets: list[Kept] = []
    files: list[File] = []
    secret_files: list[File] = []
    for mount in service.mounts:
        path = folder / Path(mount.source).expanduser()
        if mount.kind != "bind":
            mounts.append(mount)
        elif mount.source in _SOCKETS or path.is_socket():
            message = f"`{mount.source}` was left out: a pod that has it rules its node"
            _note(notes, service, message, "ask the Kubernetes API, with a Role that allows what is needed")
        elif path.is_file() and _SECRET_FILE.search(path.name):
            secrets.append(Kept(path.name, real_name=_named(service, path), file=mount.source))
            message = f"`{mount.source}` looks secret: it is expected in the Secret `{_named(service, path)}`"
            _note(notes, service, message, "make it as the head of `storage.yaml` says")
            secret_files.append(File(_named(service, path), mount.target, key=path.name))
        elif (content := _text(path)) is not None:
            configs.append(Kept(path.name, real_name=_named(service, path), file=mount.source, content=content))
            files.append(File(_named(service, path), mount.target, key=path.name))
        else:
            mounts.append(mount)
            _folder(mount, path, service, notes)
    made = replace(
        service,
        mounts=tuple(mounts),
        configs=(*service.configs, *files),
        secrets=(*service.secrets, *secret_files),
    )
    return made, configs, secrets


def _folder(mount: Mount, path: Path, service: Service, notes: Notes) -> None:
    if path.is_absolute() and mount.source.startswith(("/proc", "/sys", "/dev", "/etc", "/var/lib/docker")):
        message = f"`{mount.source}` of the machine became an empty claim: a pod does not see its node's files"
        _note(notes, service, message, "use a DaemonSet with `hostPath`, if the service is there to watch the node")
        return
    what = "folder" if path.is_dir() else "path"
    message = f"the {what} `{mount.source}` became a claim, which is empty at first"
    hint = f"copy it once, through any pod that mounts the claim: `kubectl cp {mount.source} POD:{mount.target}`"
    _note(notes, service, message, hint)


def _note(notes: Notes, service: Service, message: str, hint: str) -> None:
    notes.add(("services", service.name, "volumes"), message, hint)


def _text(path: Path) -> str | None:
    """Return the content of a small text file; ``None`` for anything else."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None


def _named(service: Service, path: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{service.name}-{path.name}".lower()).strip("-")[:60].rstrip("-")
