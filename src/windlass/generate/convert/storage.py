"""Where data lies: claims for volumes, ConfigMaps for configuration files, and how containers see them."""

import hashlib
import posixpath
import re
from collections.abc import Iterator
from typing import Any

from windlass.config.compose import ComposeFile, Service
from windlass.config.compose.values import File, Mount
from windlass.generate.convert.choice import Choice


def claim(compose: ComposeFile, mount: Mount) -> str:
    """Return the name of the claim that a mount became. A folder of the host is named after its path."""
    if mount.kind == "volume":
        return compose.volumes.get(mount.source, (_dashed(mount.source), False))[0]
    return _dashed(mount.source)


def claims(compose: ComposeFile, choice: Choice) -> Iterator[dict[str, Any]]:
    """Yield a claim for every volume that is not there already."""
    existing = {name for name, external in compose.volumes.values() if external}
    users: dict[str, list[tuple[Service, Mount]]] = {}
    for service in compose.services.values():
        for mount in kept(service):
            users.setdefault(claim(compose, mount), []).append((service, mount))
    for name, mounted in sorted(users.items()):
        if name in existing:
            continue
        many = len({service.name for service, _ in mounted}) > 1 or any(service.replicas > 1 for service, _ in mounted)
        read_only = all(mount.read_only for _, mount in mounted)
        mode = ("ReadOnlyMany" if read_only else "ReadWriteMany") if many else "ReadWriteOnce"
        metadata = choice.metadata(name)
        if mounted[0][1].kind == "bind":
            metadata["annotations"] = {"windlass.dev/copied-from": mounted[0][1].source}
        spec: dict[str, Any] = {
            "accessModes": [mode],
            "resources": {"requests": {"storage": choice.volume_size}},
        }
        if choice.storage_class:
            spec["storageClassName"] = choice.storage_class
        yield {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def config_maps(compose: ComposeFile, choice: Choice) -> Iterator[dict[str, Any]]:
    """Yield a ConfigMap for every config of the file whose content is known."""
    for config in compose.configs.values():
        if not config.external and config.content is not None:
            data = {config.name: config.content}
            yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": choice.metadata(config.real_name), "data": data}


def kept(service: Service) -> list[Mount]:
    """Return the mounts whose data outlives a pod."""
    return [mount for mount in service.mounts if mount.kind != "tmpfs" and mount.source]


def volumes(compose: ComposeFile, service: Service) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volumes of a pod, and where its container sees them."""
    found: dict[str, dict[str, Any]] = {}
    seen: list[dict[str, Any]] = []
    for mount in service.mounts:
        name, volume = _volume(compose, mount)
        found[name] = {"name": name, **volume}
        seen.append(
            {"name": name, "mountPath": mount.target}
            | ({"subPath": mount.sub_path} if mount.sub_path else {})
            | ({"readOnly": True} if mount.read_only else {})
        )
    if service.shm_bytes:
        found["shm"] = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": str(service.shm_bytes)}}
        seen.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108
    for file in service.secrets:
        _file(found, seen, file, _secret_source(compose, file))
    for file in service.configs:
        _file(found, seen, file, _config_source(compose, file))
    return list(found.values()), seen


def _volume(compose: ComposeFile, mount: Mount) -> tuple[str, dict[str, Any]]:
    if mount.kind == "tmpfs":
        limit = {"sizeLimit": str(mount.size_bytes)} if mount.size_bytes else {}
        return _dashed(f"tmp-{mount.target}"), {"emptyDir": {"medium": "Memory", **limit}}
    if not mount.source:
        return _dashed(f"empty-{mount.target}"), {"emptyDir": {}}
    name = claim(compose, mount)
    return name, {"persistentVolumeClaim": {"claimName": name}}


def _secret_source(compose: ComposeFile, file: File) -> tuple[str, dict[str, Any]]:
    secret = compose.secrets.get(file.source)
    name = secret.real_name if secret else _dashed(file.source)
    mode = {"defaultMode": file.mode} if file.mode is not None else {}
    return f"secret-{name}", {"secret": {"secretName": name, **mode}}


def _config_source(compose: ComposeFile, file: File) -> tuple[str, dict[str, Any]]:
    config = compose.configs.get(file.source)
    name = config.real_name if config else _dashed(file.source)
    mode = {"defaultMode": file.mode} if file.mode is not None else {}
    return f"config-{name}", {"configMap": {"name": name, **mode}}


def _file(
    found: dict[str, dict[str, Any]], seen: list[dict[str, Any]], file: File, source: tuple[str, dict[str, Any]]
) -> None:
    name, volume = source
    found[name] = {"name": name, **volume}
    seen.append({"name": name, "mountPath": file.target, "subPath": file.key or file.source, "readOnly": True})


def _dashed(text: str) -> str:
    """Return a name for a path or a volume; one that had to be cut stays one of its kind."""
    name = re.sub(r"[^a-z0-9]+", "-", posixpath.normpath(text).lower()).strip("-") or "root"
    return name if len(name) <= 50 else f"{name[:41].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
