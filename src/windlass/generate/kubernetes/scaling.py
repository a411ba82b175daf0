"""Replicas that follow the load and the time of day."""

import json
import math

from windlass.config.project.service import Autoscale, Schedule
from windlass.generate.kubernetes import confinement, objects
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import Server, namespaces, servers
from windlass.release import Release

# Recorded from the servers' counters and NVIDIA's exporter; a metrics adapter offers them to the autoscaler.
REQUESTS = "windlass_requests_per_second"
GPU = "windlass_gpu_utilization"
# The longest look back that the autoscaler takes.
_LONGEST_CALM_S = 3600
_KUBECTL = "registry.k8s.io/kubectl:v1.33.5"
_SCALER = "scaler"
_USER = 65532


def autoscaler(server: Server) -> list[Object]:
    """Return the autoscaler of a service; none where only the time of day decides."""
    autoscale = server.value.autoscale
    metrics = _metrics(server, autoscale) if autoscale else []
    if autoscale is None or not metrics:
        return []
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": server.kind, "name": server.name},
        # An autoscaler cannot wake a service that has no pod.
        "minReplicas": max(1, autoscale.min),
        "maxReplicas": autoscale.max,
        "metrics": metrics,
        "behavior": _behaviour(autoscale),
    }
    return [server.declared("HorizontalPodAutoscaler", server.name, spec=spec)]


def _metrics(server: Server, autoscale: Autoscale) -> list[Object]:
    found: list[Object] = []
    if autoscale.cpu:
        target = {"type": "Utilization", "averageUtilization": autoscale.cpu}
        found.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if not server.target.external_metrics:
        return found
    if autoscale.requests_per_second:
        amount = f"{round(autoscale.requests_per_second * 1000)}m"
        target = {
            "type": "AverageValue",
            "averageValue": amount.removesuffix("000m") if amount.endswith("000m") else amount,
        }
        found.append({"type": "Pods", "pods": {"metric": {"name": REQUESTS}, "target": target}})
    if autoscale.gpu:
        metric = {"name": GPU, "selector": {"matchLabels": {"service": server.name}}}
        found.append(
            {
                "type": "External",
                "external": {"metric": metric, "target": {"type": "Value", "value": str(autoscale.gpu)}},
            }
        )
    return found


def _behaviour(autoscale: Autoscale) -> Object:
    """Grow at once, by as much again or four; shrink when it has been calm, by half a minute."""
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": 60},
                {"type": "Pods", "value": 4, "periodSeconds": 60},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": min(math.ceil(autoscale.calm), _LONGEST_CALM_S),
            "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
        },
    }


def schedules(server: Server) -> list[Object]:
    """Return the jobs that change a service's bounds with the time of day."""
    autoscale = server.value.autoscale
    if autoscale is None:
        return []
    return [_job(server, number, one) for number, one in enumerate(autoscale.schedule, 1)]


def _job(server: Server, number: int, schedule: Schedule) -> Object:
    release = server.release
    *first, last = [_container(server, step, words) for step, words in _steps(server, schedule).items()]
    pod = {
        "metadata": {"labels": objects.labels(release, server.service, _SCALER)},
        "spec": {
            "restartPolicy": "OnFailure",
            "serviceAccountName": objects.named(release, _SCALER),
            "#token": "Nothing else of the project talks to the API server.",
            "automountServiceAccountToken": True,
            "securityContext": confinement.pod(release, _USER),
            **({"initContainers": first} if first else {}),
            "containers": [last],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
        },
    }
    spec = {
        "schedule": schedule.cron,
        "timeZone": schedule.time_zone,
        "concurrencyPolicy": "Replace",
        "startingDeadlineSeconds": 300,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {"spec": {"backoffLimit": 3, "ttlSecondsAfterFinished": 86400, "template": pod}},
    }
    return server.declared("CronJob", server.beside("schedule", str(number)), spec=spec)


def _container(server: Server, name: str, words: list[str]) -> Object:
    return {
        "name": name,
        "image": _KUBECTL,
        "imagePullPolicy": "IfNotPresent",
        "command": ["kubectl"],
        "args": words,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}},
        "securityContext": confinement.container(server.release),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


def _steps(server: Server, schedule: Schedule) -> dict[str, list[str]]:
    """Return what kubectl is told, step by step.

    An autoscaler gets other bounds. It rests while there is no pod: that is how a service is put to sleep, and why it
    has to be woken. A service without one gets a number.
    """
    namespace = f"--namespace={server.namespace}"
    workload = f"{server.kind.lower()}/{server.name}"
    scale = ["scale", namespace, workload, f"--replicas={schedule.min}"]
    if not autoscaler(server):
        return {"scale": scale}
    if schedule.min == 0:
        return {"sleep": scale}
    bounds: Object = {"minReplicas": schedule.min, **({"maxReplicas": schedule.max} if schedule.max else {})}
    patch = ["patch", namespace, f"hpa/{server.name}", "--type=merge", f"--patch={json.dumps({'spec': bounds})}"]
    sleeps = server.value.autoscale is not None and any(one.min == 0 for one in server.value.autoscale.schedule)
    return {"bounds": patch, **({"wake": scale} if sleeps else {})}


def permissions(release: Release) -> list[Object]:
    """Return what the jobs may do: change the bounds of these autoscalers and the number of these pods, no more."""
    found: list[Object] = []
    for namespace in namespaces(release):
        scheduled = [server for server in servers(release) if server.namespace == namespace and schedules(server)]
        if scheduled:
            found += _permissions(release, namespace, scheduled)
    return found


def _permissions(release: Release, namespace: str, scheduled: list[Server]) -> list[Object]:
    name = objects.named(release, _SCALER)
    marks = objects.project_labels(release, _SCALER)
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    spec = {
        "podSelector": {"matchLabels": {objects.PART_OF: release.project.name, objects.COMPONENT: _SCALER}},
        "policyTypes": ["Egress"],
        "egress": [
            {
                "#api": "To the API server, whose address every cluster chooses.",
                "ports": [{"protocol": "TCP", "port": port} for port in (443, 6443)],
            }
        ],
    }
    return [
        objects.declared("ServiceAccount", name, namespace, marks, automountServiceAccountToken=False),
        objects.declared("Role", name, namespace, marks, rules=_rules(scheduled)),
        objects.declared("RoleBinding", name, namespace, marks, roleRef=role, subjects=[subject]),
        objects.declared("NetworkPolicy", name, namespace, marks, spec=spec),
    ]


def _rules(scheduled: list[Server]) -> list[Object]:
    followed = [server.name for server in scheduled if autoscaler(server)]
    rules: list[Object] = []
    if followed:
        rules.append(
            {
                "apiGroups": ["autoscaling"],
                "resources": ["horizontalpodautoscalers"],
                "resourceNames": followed,
                "verbs": ["get", "patch"],
            }
        )
    for kind in sorted({server.kind for server in scheduled}):
        names = [server.name for server in scheduled if server.kind == kind]
        plural = f"{kind.lower()}s"
        rules.append({"apiGroups": ["apps"], "resources": [plural], "resourceNames": names, "verbs": ["get"]})
        rules.append(
            {
                "apiGroups": ["apps"],
                "resources": [f"{plural}/scale"],
                "resourceNames": names,
                "verbs": ["get", "patch", "update"],
            }
        )
    return rules
