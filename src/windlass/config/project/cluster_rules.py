"""Rules about clusters: what a project wants and a Kubernetes target cannot give as it is."""

from collections.abc import Iterator

from windlass.config.project.gateway import Gateway
from windlass.config.project.project import Project
from windlass.config.project.target import KubernetesTarget
from windlass.config.yaml_text import Place

# Where, what, what to do, how bad.
Fault = tuple[Place, str, str, str]


def cluster_faults(project: Project, target: str) -> Iterator[Fault]:
    """Yield what cannot be had on a cluster."""
    where = project.targets[target]
    if not isinstance(where, KubernetesTarget):
        return
    yield from _models(project, target)
    yield from _metrics(project, where, target)
    yield from _names(project)
    if project.gateway is not None and where.route.kind != "nginx":
        yield from _routes(project, project.gateway, where, target)


def _models(project: Project, target: str) -> Iterator[Fault]:
    """A pod sees no folder of the machine that the project file is on."""
    for name, service in project.services.items():
        reads = not service.bake and (service.vllm is None or service.vllm.model.startswith("./"))
        if reads and project.repository.path is not None:
            message = f"target `{target}` cannot see the folder `{project.repository.path}`"
            hint = "say `bake: true`, which puts the models into the image, or name a bucket with `repository.url`"
            yield ("services", name), message, hint, "error"


def _names(project: Project) -> Iterator[Fault]:
    """What belongs to a service has a name of its own beside it."""
    if project.gateway is not None and "gateway" in project.services:
        yield ("services", "gateway"), "a service has the name of the gateway", "give it another name", "error"
    for name in project.services:
        base, _, end = name.rpartition("-")
        if end in ("canary", "replicas", "cache") and base in project.services:
            message = f"service `{base}` has something of the name `{name}` in a cluster"
            yield ("services", name), message, "give it another name", "error"


def _metrics(project: Project, where: KubernetesTarget, target: str) -> Iterator[Fault]:
    for name, service in project.services.items():
        autoscale = service.autoscale
        if autoscale is None or where.external_metrics or autoscale.gpu is autoscale.requests_per_second is None:
            continue
        left = autoscale.cpu is not None or autoscale.schedule
        message = f"target `{target}` has no metrics adapter, which `gpu` and `requests_per_second` need"
        hint = f"say `external_metrics: true` under `targets.{target}` when it has one"
        yield ("services", name, "autoscale"), message, hint, "warning" if left else "error"


def _routes(project: Project, gateway: Gateway, where: KubernetesTarget, target: str) -> Iterator[Fault]:
    """What the cluster's own routes have no words for must not be lost in silence."""
    hint = f"say `route: {{kind: nginx}}` under `targets.{target}`"
    kind = where.route.kind
    wanted: dict[Place, object] = {
        ("gateway", "auth"): gateway.auth,
        ("gateway", "rate_limit"): gateway.rate_limit,
        ("gateway", "allow"): gateway.allow,
        ("gateway", "tls", "client_ca"): gateway.tls and gateway.tls.client_ca,
        **{("tenants", name, "keys"): tenant.keys for name, tenant in project.tenants.items()},
    }
    for place, value in wanted.items():
        if value:
            yield place, f"routes of `{kind}` know no `{place[-1]}`", hint, "error"
    if gateway.tls is None:
        return
    pair = [project.secrets.get(name) for name in (gateway.tls.certificate, gateway.tls.key)]
    places = {_place(secret) for secret in pair if secret}
    names = {secret.existing.name for secret in pair if secret and secret.existing}
    if len(places) > 1 or len(names) > 1:
        hint = "keep both in one Kubernetes Secret, in one store, or in files"
        yield ("gateway", "tls"), f"routes of `{kind}` want certificate and key from one place", hint, "error"
    elif "csi" in places:
        hint = "name it as `external` or `existing`"
        yield ("gateway", "tls"), f"no pod would mount the certificate of `{kind}` routes", hint, "error"


def _place(secret: object) -> str:
    """Return the place of a secret that a cluster uses."""
    return next((kind for kind in ("existing", "external", "csi") if getattr(secret, kind)), "given")
