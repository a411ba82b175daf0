"""The pod of a server: what is started in it, what it sees, when it is ready, and how it ends without loss."""

import math

from windlass.config.project.service import SecretReference
from windlass.generate.command import CONTAINER, KEEPING, command
from windlass.generate.compose.caches import environment as cache_environment
from windlass.generate.kubernetes import confinement, gpus, mesh, objects, placement, secrets, storage
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import GRPC, METRICS, REST, TRACK, Server

# Seconds until nobody sends requests to a pod that is to end: every node hears of it in its own time.
PRE_STOP_S = 10
# What a server needs beyond its drain to end.
_GRACE_S = 10
_PROBE_S = 5


def template(server: Server) -> Object:
    """Return the pod template of a service's workload."""
    release = server.release
    labels = {**server.labels, TRACK: server.track}
    annotations = mesh.annotations(server)
    return {
        "metadata": {"labels": labels, **({"annotations": annotations} if annotations else {})},
        "spec": {
            "serviceAccountName": server.beside(),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            **confinement.runtime_class(release, server.value.placement.runtime_class),
            "securityContext": confinement.pod(release, release.project.image.user),
            **placement.placement(server),
            "#grace": f"{PRE_STOP_S} s until endpoints are gone, {server.value.drain:g} s to finish, and some.",
            "terminationGracePeriodSeconds": PRE_STOP_S + math.ceil(server.value.drain) + _GRACE_S,
            **_init(server),
            "containers": [_container(server)],
            "volumes": [*storage.volumes(server), *secrets.volumes(release, secret_files(server))],
        },
    }


def secret_files(server: Server) -> list[str]:
    """Return the secrets that a pod mounts: credentials of the bucket, and those that a store makes only then."""
    release = server.release
    found = [name for name in secrets.variables(server).values() if secrets.reference(release, name).csi]
    if storage.fetches(server) and release.project.repository.credentials:
        found.append(release.project.repository.credentials)
    return sorted(set(found))


def ending(seconds: int = PRE_STOP_S) -> Object:
    """Return what keeps a pod answering until it gets no more requests."""
    return {"preStop": {"exec": {"command": ["sleep", str(seconds)]}}}


def _init(server: Server) -> Object:
    found = storage.fetching(server)
    return {"initContainers": found} if found else {}


def _container(server: Server) -> Object:
    release = server.release
    return {
        "name": "server",
        "image": release.image(server.service),
        "imagePullPolicy": "IfNotPresent",
        **_start(server),
        "env": _environment(server),
        "ports": _ports(server),
        "resources": _resources(server),
        "securityContext": confinement.container(release),
        **_probes(server),
        "lifecycle": ending(),
        "volumeMounts": [*storage.mounts(server), *secrets.mounts(release, _mounted_variables(server))],
    }


def _start(server: Server) -> Object:
    # A dollar before a parenthesis would be a variable of Kubernetes.
    door = KEEPING if storage.keeps(server) else CONTAINER
    words = [word.replace("$(", "$$(") for word in command(server.release, server.service, door)]
    # Triton's image prepares the driver's libraries in its own entry point.
    if server.value.runtime == "triton":
        return {"args": words}
    return {"command": words[:2], "args": words[2:]}


def _environment(server: Server) -> list[Object]:
    given = {k: v for k, v in server.value.environment.items() if not isinstance(v, SecretReference)}
    shown = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in given.items()}
    plain = {
        **cache_environment(server.value),
        **gpus.environment(server),
        **{key: text.replace("$(", "$$(") for key, text in shown.items()},
    }
    found: list[Object] = [{"name": name, "value": value} for name, value in plain.items()]
    for variable, name in secrets.variables(server).items():
        at = secrets.reference(server.release, name)
        found.append({"name": variable, "valueFrom": {"secretKeyRef": {"name": at.name, "key": at.key}}})
    return found


def _mounted_variables(server: Server) -> list[str]:
    names = secrets.variables(server).values()
    return sorted({name for name in names if secrets.reference(server.release, name).csi})


def _ports(server: Server) -> list[Object]:
    ports = {"http": REST, "grpc": GRPC, "metrics": METRICS} if server.speaks_grpc else {"http": REST}
    return [{"name": name, "containerPort": port} for name, port in ports.items()]


def _resources(server: Server) -> Object:
    """Return what a pod asks for, which is what it gets: its neighbours cannot slow it."""
    value = server.value
    amounts: Object = {}
    if value.cpus:
        amounts["cpu"] = objects.cores(value.cpus)
    if value.memory:
        amounts["memory"] = objects.size(value.memory)
    # A share of CPU use is a share of what was asked for.
    requests = {"cpu": "1", "memory": "1Gi"} | amounts
    limits = {**amounts, **gpus.limits(server)}
    return {"requests": requests, **({"limits": limits} if limits else {})}


def _probes(server: Server) -> Object:
    live, ready = ("/health", "/health") if server.value.runtime == "vllm" else ("/v2/health/live", "/v2/health/ready")
    return {
        "#startup": f"Models have {server.value.startup:g} s to load. The other probes begin after this one.",
        "startupProbe": _probe(ready, failures=max(1, math.ceil(server.value.startup / _PROBE_S))),
        "readinessProbe": _probe(ready, failures=2),
        "livenessProbe": {**_probe(live, failures=3), "periodSeconds": 10},
    }


def _probe(path: str, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": _PROBE_S,
        "timeoutSeconds": 4,
        "failureThreshold": failures,
    }
