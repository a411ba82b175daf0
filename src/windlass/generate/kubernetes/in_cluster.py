"""The project's own gateway as pods: the same nginx, and the same configuration, as beside containers."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from windlass.config.project.gateway import Gateway
from windlass.config.project.target import InCluster
from windlass.generate import nginx
from windlass.generate.kubernetes import confinement, network, objects, pod, secrets
from windlass.generate.kubernetes.gateway_api import rest_port
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.placement import HOST
from windlass.generate.kubernetes.server import namespace_of, servers, version_of
from windlass.release import Release

# The user `nginx` of nginx' own images.
_USER = 101
_COMPONENT = "gateway"


@dataclass(frozen=True, slots=True)
class ClusterPlace(nginx.Place):
    """A cluster's network: servers are found by the names of their replicas, in whatever namespace."""

    names: Mapping[str, str] = field(default_factory=dict)

    def server(self, service: str) -> str:
        """Return the name of a service's servers."""
        return self.names[service]


def gateway(release: Release, asked: Gateway, route: InCluster) -> list[Object]:
    """Return everything of the gateway."""
    hosts = {one.service: f"{one.headless}.{one.namespace}.svc.cluster.local" for one in servers(release)}
    place = ClusterPlace(resolver="kube-dns.kube-system.svc.cluster.local", names=hosts)
    texts = nginx.files(release, place)
    name = objects.named(release, "gateway")
    selector = {objects.COMPONENT: _COMPONENT, objects.PART_OF: release.project.name}
    bodies: list[tuple[str, Object]] = [
        ("ServiceAccount", {"automountServiceAccountToken": False, **_pulling(release)}),
        ("ConfigMap", {"data": texts}),
        ("Deployment", {"spec": _deployment(release, asked, texts, name, selector)}),
        ("Service", {"spec": _service(release, asked, route, selector)}),
        ("PodDisruptionBudget", {"spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector}}}),
        ("NetworkPolicy", {"spec": _policy(release, asked, selector)}),
    ]
    home = namespace_of(release, None)
    marks = _marks(release, asked)
    return [objects.declared(kind, name, home, marks, **body) for kind, body in bodies]


def _marks(release: Release, asked: Gateway) -> dict[str, str]:
    return objects.labels(release, "gateway", _COMPONENT, version_of(asked.image))


def _pulling(release: Release) -> Object:
    secret = objects.cluster(release).pull_secret
    return {"imagePullSecrets": [{"name": secret}]} if secret else {}


def _deployment(release: Release, asked: Gateway, texts: Mapping[str, str], name: str, selector: Object) -> Object:
    drain = max(service.drain for service in release.project.services.values())
    together = "".join(f"{path}\0{texts[path]}\0" for path in sorted(texts))
    names = secrets.gateway_secrets(release)
    spread = {
        "maxSkew": 1,
        "topologyKey": HOST,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector},
        "matchLabelKeys": ["pod-template-hash"],
    }
    template = {
        "metadata": {
            "labels": _marks(release, asked),
            "annotations": {"windlass/configuration": hashlib.sha256(together.encode()).hexdigest()[:12]},
        },
        "spec": {
            "serviceAccountName": name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": confinement.pod(release, _USER),
            "topologySpreadConstraints": [spread],
            "terminationGracePeriodSeconds": pod.PRE_STOP_S + math.ceil(drain) + 5,
            "containers": [_container(release, asked, texts, names)],
            "volumes": [
                {"name": "configuration", "configMap": {"name": name}},
                {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}},
                *secrets.volumes(release, names),
            ],
        },
    }
    return {
        "replicas": 2,
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": selector},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": template,
    }


def _container(release: Release, asked: Gateway, texts: Mapping[str, str], names: list[str]) -> Object:
    start = ["/bin/sh", "/etc/nginx/start.sh"] if nginx.starts_with_keys(release) else ["nginx", "-g", "daemon off;"]
    probe = {"httpGet": {"path": "/health", "port": "status"}, "periodSeconds": 5, "timeoutSeconds": 4}
    return {
        "name": "nginx",
        "image": asked.image,
        "imagePullPolicy": "IfNotPresent",
        "command": start,
        "ports": [
            {"name": "rest", "containerPort": 8080},
            {"name": "grpc", "containerPort": 8081},
            {"name": "status", "containerPort": 8082},
        ],
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "512Mi"}},
        "securityContext": confinement.container(release),
        "startupProbe": {**probe, "failureThreshold": 12},
        "readinessProbe": {**probe, "failureThreshold": 2},
        "livenessProbe": {**probe, "periodSeconds": 10, "failureThreshold": 3},
        # nginx finishes what it has begun with SIGQUIT, and drops it with SIGTERM.
        "lifecycle": {
            "preStop": {"exec": {"command": ["/bin/sh", "-c", f"sleep {pod.PRE_STOP_S}; kill -QUIT 1; sleep 3600"]}}
        },
        "volumeMounts": [
            *(
                {"name": "configuration", "mountPath": f"/etc/nginx/{path}", "subPath": path, "readOnly": True}
                for path in texts
            ),
            {"name": "tmp", "mountPath": "/tmp"},
            *secrets.mounts(release, names),
        ],
    }


def _service(release: Release, asked: Gateway, route: InCluster, selector: Object) -> Object:
    ports: list[Object] = [{"name": "rest", "port": rest_port(asked), "targetPort": "rest"}]
    if asked.tls is None and any(server.speaks_grpc for server in servers(release)):
        ports.append(
            {"name": "grpc", "port": asked.grpc_port, "targetPort": "grpc", "appProtocol": "kubernetes.io/h2c"}
        )
    # Limits and networks go by the client's address, which another node would hide.
    local = {} if route.service_type == "ClusterIP" else {"externalTrafficPolicy": "Local"}
    return {"type": route.service_type, **local, "selector": selector, "ports": ports}


def _policy(release: Release, asked: Gateway, selector: Object) -> Object:
    blocks = [{"ipBlock": {"cidr": one}} for one in asked.allow]
    ports = [{"protocol": "TCP", "port": number} for number in (8080, 8081)]
    return {
        "podSelector": {"matchLabels": selector},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{**({"from": blocks} if blocks else {}), "ports": ports}],
        "egress": network.egress_to(release),
    }
