"""Volumes: the models, what servers keep between starts, and room for what they forget."""

from windlass.config.project import Service
from windlass.generate import fetch
from windlass.generate.kubernetes import confinement, objects, secrets
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import Server, namespace_of, servers
from windlass.release import Release

MODELS = "models"
CACHE = "cache"
_TMP = 2**30
# What fetches models keeps its folder beside a lock, and servers see the folder only.
_VOLUME = "/volume"
_FOLDER = "models"


def reads_repository(service: Service) -> bool:
    """Tell whether servers read the models from a volume."""
    return not service.bake and (service.vllm is None or service.vllm.model.startswith("./"))


def fetches(server: Server) -> bool:
    """Tell whether pods bring the models from a bucket."""
    return server.release.project.repository.url is not None and reads_repository(server.value)


def shared(server: Server) -> bool:
    """Tell whether replicas have one volume together."""
    return server.target.read_write_many and not server.value.stateful


def keeps(server: Server) -> bool:
    """Tell whether a pod finds in its cache what pods before it left there."""
    return shared(server) or server.value.stateful


def volumes(server: Server) -> list[Object]:
    """Return the volumes of a pod, besides those that a StatefulSet makes for each replica."""
    value = server.value
    found: list[Object] = []
    if reads_repository(value) and not (fetches(server) and value.stateful):
        found.append({"name": MODELS, **_models(server)})
    if not value.stateful:
        found.append({"name": CACHE, **_kept(shared(server), server.beside(CACHE), value.cache)})
    return [
        *found,
        {"name": "tmp", "emptyDir": {"sizeLimit": objects.size(_TMP)}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": objects.size(value.shared_memory)}},
    ]


def mounts(server: Server) -> list[Object]:
    """Return the mounts of a server."""
    models: Object = {"name": MODELS, "mountPath": "/models", "readOnly": True}
    if fetches(server):
        models["subPath"] = _FOLDER
    return [
        *([models] if reads_repository(server.value) else []),
        {"name": CACHE, "mountPath": "/cache"},
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "shm", "mountPath": "/dev/shm"},
    ]


def templates(server: Server) -> list[Object]:
    """Return the claims that every replica of a StatefulSet gets for itself."""
    claims = [(CACHE, server.value.cache)]
    if fetches(server):
        claims.insert(0, (MODELS, server.release.project.repository.size))
    return [
        {"metadata": {"name": name}, "spec": _claim(server.release, "ReadWriteOnce", amount)} for name, amount in claims
    ]


def cache_claim(server: Server) -> list[Object]:
    """Return the claim of a service's cache, where replicas have one together."""
    if not shared(server):
        return []
    spec = _claim(server.release, "ReadWriteMany", server.value.cache)
    return [server.declared("PersistentVolumeClaim", server.beside(CACHE), spec=spec)]


def model_claims(release: Release) -> list[Object]:
    """Return the claims that fetched models are kept on, one in each namespace."""
    places = {server.namespace: None for server in servers(release) if fetches(server) and shared(server)}
    spec = _claim(release, "ReadWriteMany", release.project.repository.size)
    marks = objects.project_labels(release, MODELS)
    name = claim_name(release)
    return [objects.declared("PersistentVolumeClaim", name, place, marks, spec=spec) for place in places]


def claim_name(release: Release) -> str:
    """Return the claim with the models: one that exists, or one that is made."""
    return release.project.repository.volume or objects.named(release, MODELS)


def model_claim_places(release: Release) -> list[str]:
    """Return the namespaces that have a claim with the models."""
    if release.project.repository.volume:
        read = {server.namespace: None for server in servers(release) if reads_repository(server.value)}
        return list(read) or [namespace_of(release, None)]
    return [claim["metadata"]["namespace"] for claim in model_claims(release)]


def fetching(server: Server) -> list[Object]:
    """Return the init container that fetches models and verifies them; without it no server starts."""
    if not fetches(server):
        return []
    repository = server.release.project.repository
    names = [repository.credentials] if repository.credentials else []
    secret = f"{secrets.FOLDER}/{repository.credentials}" if repository.credentials else None
    script = fetch.script(repository, folder=f"{_VOLUME}/{_FOLDER}", secret=secret)
    # Pods of one volume fetch one after the other.
    alone = f"exec 9>{_VOLUME}/lock\nflock 9\n" if shared(server) else ""
    return [
        {
            "name": "fetch-models",
            "image": fetch.IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/sh", "-c"],
            "args": [alone + script],
            "env": [{"name": "HOME", "value": "/tmp"}],
            "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
            "securityContext": confinement.container(server.release),
            "volumeMounts": [
                {"name": MODELS, "mountPath": _VOLUME},
                {"name": "tmp", "mountPath": "/tmp"},
                *secrets.mounts(server.release, names),
            ],
        }
    ]


def _models(server: Server) -> Object:
    repository = server.release.project.repository
    if repository.volume:
        return {"persistentVolumeClaim": {"claimName": repository.volume, "readOnly": True}}
    return _kept(shared(server), claim_name(server.release), repository.size)


def _kept(shared: bool, claim: str, amount: int) -> Object:
    if shared:
        return {"persistentVolumeClaim": {"claimName": claim}}
    return {"emptyDir": {"sizeLimit": objects.size(amount)}}


def _claim(release: Release, mode: str, amount: int) -> Object:
    storage_class = objects.cluster(release).storage_class
    spec: Object = {"accessModes": [mode]}
    if storage_class:
        spec["storageClassName"] = storage_class
    return {**spec, "resources": {"requests": {"storage": objects.size(amount)}}}
