"""A service as what runs: a Deployment, a DaemonSet or a Job, and its pod."""

import hashlib
from typing import Any

from windlass.config.compose import ComposeFile, Service
from windlass.generate.convert.choice import WAITING_IMAGE, Choice
from windlass.generate.convert.container import container
from windlass.generate.convert.networks import network_label
from windlass.generate.convert.storage import claim, kept, volumes

_GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
COMPLETED = "service_completed_successfully"


def workload(compose: ComposeFile, service: Service, choice: Choice) -> dict[str, Any]:
    """Return the object that keeps the pods of a service."""
    template = {"metadata": _pod_metadata(service, choice), "spec": _pod(compose, service)}
    if service.restart in ("no", "on-failure"):
        template["spec"]["restartPolicy"] = "Never" if service.restart == "no" else "OnFailure"
        spec: dict[str, Any] = {"backoffLimit": 0 if service.restart == "no" else 6, "template": template}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": choice.metadata(service.name), "spec": spec}
    spec = {"selector": {"matchLabels": choice.selector(service.name)}, "template": template}
    if service.everywhere:
        return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": choice.metadata(service.name), "spec": spec}
    spec = {"replicas": service.replicas, "strategy": _strategy(compose, service), **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": choice.metadata(service.name), "spec": spec}


def environment_map(service: Service, choice: Choice) -> dict[str, Any]:
    """Return the ConfigMap with a service's variables."""
    metadata = choice.metadata(f"{service.name}-environment")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": dict(sorted(service.environment.items())),
    }


def _strategy(compose: ComposeFile, service: Service) -> dict[str, Any]:
    """New pods are ready before old ones go; unless both would want the one volume that a single node may write."""
    writes = any(not mount.read_only for mount in kept(service))
    alone = service.replicas == 1 and len(_users(compose, service)) == 1
    if writes and alone:
        return {"type": "Recreate"}
    return {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def _users(compose: ComposeFile, service: Service) -> set[str]:
    mine = {claim(compose, mount) for mount in kept(service)}
    return {one.name for one in compose.services.values() for mount in kept(one) if claim(compose, mount) in mine}


def _pod_metadata(service: Service, choice: Choice) -> dict[str, Any]:
    labels = choice.selector(service.name) | {network_label(network): "true" for network in service.networks}
    annotations = dict(sorted(service.labels.items()))
    if service.environment:
        # Pods are replaced when their variables change.
        text = "\n".join(f"{name}={value}" for name, value in sorted(service.environment.items()))
        annotations["windlass.dev/environment"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {"labels": labels} | ({"annotations": annotations} if annotations else {})


def _pod(compose: ComposeFile, service: Service) -> dict[str, Any]:
    mounted, seen = volumes(compose, service)
    steps = [name for name, condition in service.after.items() if condition == COMPLETED]
    first = [_step(compose, compose.services[name], mounted) for name in steps]
    first += [_wait(compose.services[name]) for name in service.after if name not in steps]
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": round(service.grace_s),
        "securityContext": _pod_security(service),
    }
    if first:
        pod["initContainers"] = first
    pod["containers"] = [container(service, seen)]
    if mounted:
        pod["volumes"] = mounted
    return pod | _where(service)


def _pod_security(service: Service) -> dict[str, Any]:
    confinement = service.confinement
    # A profile of the host's is a matter of its nodes; the runtime's own is the default everywhere.
    unconfined = confinement.seccomp == "unconfined"
    found: dict[str, Any] = {"seccompProfile": {"type": "Unconfined" if unconfined else "RuntimeDefault"}}
    if confinement.group is not None:
        found["fsGroup"] = confinement.group
    if confinement.groups:
        found["supplementalGroups"] = list(confinement.groups)
    if confinement.sysctls:
        found["sysctls"] = [{"name": name, "value": value} for name, value in confinement.sysctls.items()]
    return found


def _where(service: Service) -> dict[str, Any]:
    """Return which nodes, which names, which network."""
    labels = {"app.kubernetes.io/name": service.name}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }
    found: dict[str, Any] = {
        "nodeSelector": service.node_labels,
        "tolerations": [_GPU_TOLERATION] if service.resources.gpus else [],
        "runtimeClassName": service.runtime_class,
        "topologySpreadConstraints": [spread] if service.replicas > 1 else [],
        "hostNetwork": service.host_network,
        "dnsPolicy": "ClusterFirstWithHostNet" if service.host_network else "",
        "hostname": service.hostname,
        "hostAliases": [{"ip": address, "hostnames": [name]} for name, address in service.host_aliases.items()],
        "dnsConfig": {"nameservers": list(service.dns)} if service.dns else {},
    }
    return {key: value for key, value in found.items() if value}


def _step(compose: ComposeFile, service: Service, mounted: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a service that runs to its end as an init container of one that waits for it."""
    volumes_of_step, seen = volumes(compose, service)
    known = {volume["name"] for volume in mounted}
    mounted += [volume for volume in volumes_of_step if volume["name"] not in known]
    made = container(service, seen)
    return {key: value for key, value in made.items() if not key.endswith("Probe") and key != "ports"}


def _wait(service: Service) -> dict[str, Any]:
    """Return an init container that waits for a service: a Service takes no connection before a pod is ready."""
    port = next((port.target for port in service.ports if port.protocol == "TCP"), None)
    # Without a port the name itself is what appears when the first pod is ready.
    there = f"nc -z -w 2 {service.name} {port}" if port else f"nslookup {service.name}.$NAMESPACE.svc.cluster.local"
    namespace = {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    return {
        "name": f"wait-for-{service.name}"[:63].rstrip("-"),
        "image": WAITING_IMAGE,
        "command": ["sh", "-c", f"until {there}; do sleep 1; done"],
        **({} if port else {"env": [namespace]}),
        "resources": {"limits": {"cpu": "100m", "memory": "32Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "capabilities": {"drop": ["ALL"]},
        },
    }
