"""Rules across parts of a project: references that must lead somewhere, and wishes that cannot both be had."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any, get_args

from windlass.config.project.cluster_rules import Fault, cluster_faults
from windlass.config.project.on_compose import compose_faults
from windlass.config.project.part import Part
from windlass.config.project.project import Project
from windlass.config.project.quantities import SECRET
from windlass.config.project.service import Service
from windlass.config.project.target import ComposeTarget, KubernetesTarget, LocalTarget
from windlass.config.yaml_text import Place


def faults(project: Project, target: str) -> Iterator[Fault]:
    """Yield everything that is wrong between parts that are right by themselves."""
    yield from _secrets(project)
    yield from _tenants(project)
    yield from _gpus(project)
    yield from _scaling(project, target)
    yield from _gateway(project, target)
    yield from _local(project, target)
    yield from compose_faults(project, target, secret_references(project))
    yield from _images(project)
    yield from cluster_faults(project, target)


def secret_references(value: object, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Yield every place that names a secret, with the name."""
    if isinstance(value, Part):
        for key, field in type(value).model_fields.items():
            inner = getattr(value, key)
            if isinstance(inner, str) and _refers(field.annotation, field.metadata):
                yield (*place, key), inner
            else:
                yield from secret_references(inner, (*place, key))
    elif isinstance(value, dict | tuple):
        for index, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from secret_references(inner, (*place, index))


def _refers(annotation: object, metadata: list[Any]) -> bool:
    inner = [*metadata, *getattr(annotation, "__metadata__", ())]
    return SECRET in inner or any(_refers(one, []) for one in get_args(annotation))


def _secrets(project: Project) -> Iterator[Fault]:
    known = ", ".join(f"`{name}`" for name in project.secrets) or "none"
    for place, name in secret_references(project):
        if name not in project.secrets:
            hint = f"add `{name}` under `secrets`, or name one of those there are: {known}"
            yield place, f"there is no secret `{name}`", hint, "error"


def _tenants(project: Project) -> Iterator[Fault]:
    for name, service in project.services.items():
        if service.tenant and service.tenant not in project.tenants:
            place = ("services", name, "tenant")
            yield place, f"there is no tenant `{service.tenant}`", "add it under `tenants`", "error"


def _gpus(project: Project) -> Iterator[Fault]:
    """GPUs that were pinned belong to one replica, unless it shares them."""
    pinned = {name: service for name, service in project.services.items() if service.gpus and service.gpus.ids}
    for name, service in pinned.items():
        if service.gpus and service.gpus.share == "exclusive" and _most_replicas(service) > 1:
            hint = "say `count` instead of `ids`, or `share: mps`"
            yield ("services", name, "gpus", "ids"), "every replica would use the same GPUs", hint, "error"
    for (first, one), (second, other) in combinations(pinned.items(), 2):
        if not one.gpus or not other.gpus:
            continue
        both = sorted(set(one.gpus.ids) & set(other.gpus.ids))
        if both and "exclusive" in (one.gpus.share, other.gpus.share):
            message = f"GPU {', '.join(map(str, both))} is pinned by service `{first}` too"
            hint = "pin different ones, or give both `share: mps` or `share: time-slicing`"
            yield ("services", second, "gpus", "ids"), message, hint, "error"


def _most_replicas(service: Service) -> int:
    return service.autoscale.max if service.autoscale else service.replicas


def _scaling(project: Project, target: str) -> Iterator[Fault]:
    where = project.targets[target]
    for name, service in project.services.items():
        if service.autoscale and isinstance(where, ComposeTarget | LocalTarget):
            message = f"target `{target}` cannot scale by load: it runs `min` replicas"
            hint = f"use `windlass scale {name}=N` there, or a target of kind `kubernetes`"
            yield ("services", name, "autoscale"), message, hint, "warning"
        if service.gpus and service.gpus.ids and isinstance(where, KubernetesTarget):
            message = f"Kubernetes chooses GPUs by itself: {service.gpus.number} are asked for, not these"
            hint = "say `count` for this target"
            yield ("services", name, "gpus", "ids"), message, hint, "warning"
        if service.runtime != "windlass" and isinstance(where, LocalTarget):
            message = f"runtime `{service.runtime}` is an image, and target `{target}` runs no containers"
            hint = "add a target of kind `compose`"
            yield ("services", name, "runtime"), message, hint, "error"


def _gateway(project: Project, target: str) -> Iterator[Fault]:
    gateway = project.gateway
    if gateway is None:
        return
    if isinstance(project.targets[target], LocalTarget):
        message = "target `local` has no gateway: its servers are reached directly, on this machine"
        yield ("gateway",), message.replace("`local`", f"`{target}`"), "", "warning"
    known = gateway.auth or any(tenant.keys for tenant in project.tenants.values())
    if known and not gateway.tls and gateway.bind not in ("127.0.0.1", "::1", "localhost"):
        message = "passwords and keys would cross the network in plain text"
        yield ("gateway", "auth"), message, "add `tls`, or `bind: 127.0.0.1` behind a proxy that has it", "error"
    if gateway.rate_limit and gateway.rate_limit.per == "client" and not gateway.auth:
        hint = "add `auth`, or say `per: address`"
        yield (
            ("gateway", "rate_limit", "per"),
            "clients are known by their user or key, and there is none",
            hint,
            "error",
        )


def _local(project: Project, target: str) -> Iterator[Fault]:
    """A server of this machine reads a folder, and one server has one set of options."""
    where = project.targets[target]
    if not isinstance(where, LocalTarget):
        return
    if project.repository.path is None:
        hint = "name a folder with `path` in this target's `overrides`"
        yield ("repository",), f"target `{target}` serves a folder of this machine", hint, "error"
    seen: dict[str, tuple[str, object]] = {}
    for name, service in project.services.items() if where.processes == "one" else ():
        for key, value in service.options.items():
            first, known = seen.setdefault(key, (name, value))
            if known != value:
                hint = f"say `processes: per-service` under `targets.{target}`"
                message = f"one server for all services cannot have another `{key}` than `{first}` wants"
                yield ("services", name, "options", key), message, hint, "error"


def _images(project: Project) -> Iterator[Fault]:
    """What goes into an image must be here when it is built, and known."""
    folder = project.repository.path is not None
    for name, service in project.services.items():
        place = ("services", name)
        if service.bake and not folder:
            hint = "name a folder with `repository.path`, or leave `bake` out: a volume gets the models"
            yield (*place, "bake"), "only models in a folder can be part of an image", hint, "error"
        if service.bake and service.vllm and not service.vllm.model.startswith("./"):
            hint = "fetch it into the repository and name it as `./FOLDER`, or leave `bake` out"
            yield (*place, "bake"), f"`{service.vllm.model}` is fetched when the server starts", hint, "error"
        if service.requirements and service.runtime != "windlass":
            message = f"nothing is installed into the image of runtime `{service.runtime}`"
            yield (*place, "requirements"), message, "name an image that has them with `image`", "error"
