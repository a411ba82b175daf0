"""References to secrets. A value is never here: it is in the cluster, in a store, or `up` brings it from its place."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from windlass.config.project.security import Csi, External
from windlass.config.project.service import SecretReference
from windlass.generate.kubernetes import objects
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import Server, namespace_of, servers
from windlass.release import Release

# The key of secrets that are made for the project.
KEY = "value"
FOLDER = "/run/secrets"


@dataclass(frozen=True, slots=True)
class Reference:
    """A key of a Kubernetes Secret; ``csi`` where a pod must mount the store before that Secret is there."""

    name: str
    key: str
    csi: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """A Secret that somebody has to make: `up`, or a person by hand, from files or variables where the values are.

    ``entries`` are the project's secrets by their key in it.
    """

    name: str
    namespace: str
    entries: dict[str, str]
    type: str = "Opaque"


def reference(release: Release, name: str) -> Reference:
    """Return where a secret of the project is in the cluster."""
    secret = release.project.secrets[name]
    if secret.existing:
        return Reference(secret.existing.name, secret.existing.key)
    return Reference(objects.named(release, name), KEY, csi=secret.external is None and secret.csi is not None)


def stored(release: Release, name: str) -> bool:
    """Tell whether the cluster finds a secret without our help: it has it, or a store does."""
    secret = release.project.secrets[name]
    return bool(secret.existing or secret.external or secret.csi)


def used(release: Release) -> dict[str, list[str]]:
    """Return the namespaces in which each secret is read."""
    found: dict[str, list[str]] = {}
    for namespace, name in sorted(set(_uses(release))):
        found.setdefault(name, []).append(namespace)
    return found


def tls_name(release: Release) -> str:
    """Return the Secret with the gateway's certificate and key."""
    gateway = release.project.gateway
    if gateway is None or gateway.tls is None:
        raise ValueError("this is a bug in windlass: a gateway without TLS was asked for its certificate")
    secret = release.project.secrets[gateway.tls.certificate]
    return secret.existing.name if secret.existing else objects.named(release, "tls")


def missing(release: Release) -> list[Made]:
    """Return the Secrets that are neither in the cluster nor in a store."""
    found = [
        Made(reference(release, name).name, namespace, {KEY: name})
        for name, namespaces in used(release).items()
        if not stored(release, name)
        for namespace in namespaces
    ]
    pair = _pair(release)
    if pair and not any(stored(release, name) for name in pair.values()):
        found.append(Made(tls_name(release), namespace_of(release, None), pair, "kubernetes.io/tls"))
    return found


def declared(release: Release) -> list[Object]:
    """Return what makes the cluster fetch secrets from their stores."""
    found = []
    for name, namespaces in used(release).items():
        secret = release.project.secrets[name]
        for namespace in namespaces:
            if secret.existing:
                continue
            if secret.external:
                found.append(_external(release, reference(release, name).name, namespace, {KEY: secret.external}))
            elif secret.csi:
                found.append(_provider(release, name, namespace, secret.csi))
    pair = {key: release.project.secrets[name].external for key, name in _pair(release).items()}
    if pair and all(pair.values()):
        given = {key: external for key, external in pair.items() if external}
        found.append(_external(release, tls_name(release), namespace_of(release, None), given, "kubernetes.io/tls"))
    return found


def volumes(release: Release, names: Iterable[str]) -> list[Object]:
    """Return the volumes of secrets; those of a store are mounted from there."""
    found = []
    for name in names:
        at = reference(release, name)
        source: Object = {"secret": {"secretName": at.name, "defaultMode": 0o440}}
        if at.csi:
            attributes = {"secretProviderClass": at.name}
            source = {"csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True, "volumeAttributes": attributes}}
        found.append({"name": f"secret-{name}", **source})
    return found


def mounts(release: Release, names: Iterable[str]) -> list[Object]:
    """Return the mounts that make each secret a file of its own name."""
    return [
        {
            "name": f"secret-{name}",
            "mountPath": f"{FOLDER}/{name}",
            "subPath": _file(release, name),
            "readOnly": True,
        }
        for name in names
    ]


def _file(release: Release, name: str) -> str:
    secret = release.project.secrets[name]
    at = reference(release, name)
    return secret.csi.object if at.csi and secret.csi else at.key


def _pair(release: Release) -> dict[str, str]:
    """Return certificate and key by their place in a TLS Secret, where routes need one."""
    gateway = release.project.gateway
    if gateway is None or gateway.tls is None or objects.cluster(release).route.kind == "nginx":
        return {}
    return {"tls.crt": gateway.tls.certificate, "tls.key": gateway.tls.key}


def _uses(release: Release) -> Iterator[tuple[str, str]]:
    """Yield the namespace and name of every secret that a pod reads."""
    repository = release.project.repository
    for server in servers(release):
        for name in variables(server).values():
            yield server.namespace, name
        fetched = repository.credentials if repository.url else None
        copied = repository.backup.credentials if repository.backup else None
        for name in filter(None, (fetched, copied)):
            yield server.namespace, name
    if release.project.gateway and objects.cluster(release).route.kind == "nginx":
        for name in gateway_secrets(release):
            yield namespace_of(release, None), name


def variables(server: Server) -> dict[str, str]:
    """Return the secrets of a server's environment, by their variables."""
    given = server.value.environment.items()
    found = {variable: value.secret for variable, value in given if isinstance(value, SecretReference)}
    if server.value.vllm and server.value.vllm.token:
        found["HF_TOKEN"] = server.value.vllm.token
    return found


def gateway_secrets(release: Release) -> list[str]:
    """Return the secrets that nginx reads: certificate, key, authority, passwords, keys of clients."""
    gateway = release.project.gateway
    if gateway is None:
        return []
    tls, auth = gateway.tls, gateway.auth
    named = [tls.certificate, tls.key, tls.client_ca] if tls else []
    named += [auth.basic, auth.keys] if auth else []
    named += [tenant.keys for tenant in release.project.tenants.values()]
    return sorted({name for name in named if name})


def _external(
    release: Release, name: str, namespace: str, entries: dict[str, External], kind: str = "Opaque"
) -> Object:
    """Return what has the External Secrets operator make a Secret, and follow the store's changes."""
    first = next(iter(entries.values()))
    data = [
        {"secretKey": key, "remoteRef": {"key": one.key, **({"property": one.property} if one.property else {})}}
        for key, one in entries.items()
    ]
    spec = {
        "refreshInterval": "1h",
        "secretStoreRef": {"kind": "ClusterSecretStore" if first.cluster else "SecretStore", "name": first.store},
        "target": {"name": name, "creationPolicy": "Owner", "template": {"type": kind}},
        "data": data,
    }
    marks = objects.project_labels(release, "secret")
    return objects.declared("ExternalSecret", name, namespace, marks, spec=spec)


def _provider(release: Release, name: str, namespace: str, csi: Csi) -> Object:
    """Return what the CSI driver mounts, and the Secret it makes of it while a pod has it mounted."""
    full = reference(release, name).name
    spec = {
        "provider": csi.provider,
        "parameters": dict(csi.parameters),
        "secretObjects": [{"secretName": full, "type": "Opaque", "data": [{"objectName": csi.object, "key": KEY}]}],
    }
    marks = objects.project_labels(release, "secret")
    return objects.declared("SecretProviderClass", full, namespace, marks, spec=spec)
