"""Copies of volumes, made by the clock and kept for a while."""

from collections.abc import Iterator
from dataclasses import dataclass

from windlass.config.project.repository import Backup
from windlass.generate import fetch
from windlass.generate.kubernetes import confinement, objects, secrets, storage
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import servers
from windlass.release import Release

_COMPONENT = "backup"

_SCRIPT = """\
now=$(date -u +%Y-%m-%dT%H-%M-%SZ)
rclone copy --checksum --stats-one-line /volume "{to}/$now"
rclone check --one-way --stats-one-line /volume "{to}/$now"
rclone lsf --dirs-only "{to}" | sort -r | tail -n +{after} | while read -r old; do rclone purge "{to}/$old"; done
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A claim that is copied; ``beside`` are the labels of the pod whose node has it, where one node only may."""

    name: str
    namespace: str
    claim: str
    beside: dict[str, str] | None = None


def backups(release: Release) -> list[Object]:
    """Return the jobs that copy the models' claim, and the claims of replicas that keep their own."""
    backup = release.project.repository.backup
    if backup is None:
        return []
    kept = list(_kept(release))
    jobs = [_job(release, backup, one) for one in kept]
    return [*jobs, *(_policy(release, namespace) for namespace in dict.fromkeys(one.namespace for one in kept))]


def _kept(release: Release) -> Iterator[Kept]:
    for namespace in storage.model_claim_places(release):
        yield Kept("models", namespace, storage.claim_name(release))
    for server in servers(release):
        for number in range(server.most_replicas if server.value.stateful else 0):
            pod = f"{server.name}-{number}"
            labels = {"statefulset.kubernetes.io/pod-name": pod}
            yield Kept(f"{server.service}-{number}", server.namespace, f"{storage.CACHE}-{pod}", labels)


def _job(release: Release, backup: Backup, kept: Kept) -> Object:
    names = [backup.credentials] if backup.credentials else []
    secret = f"{secrets.FOLDER}/{backup.credentials}" if backup.credentials else None
    to = f"{fetch.remote(backup.to)}/{kept.name}"
    script = fetch.head(secret) + _SCRIPT.format(to=to, after=backup.keep + 1)
    marks = objects.labels(release, kept.name, _COMPONENT)
    container = {
        "name": "copy",
        "image": fetch.IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c"],
        "args": [script],
        "env": [{"name": "HOME", "value": "/tmp"}],
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
        "securityContext": confinement.container(release),
        "volumeMounts": [
            {"name": "volume", "mountPath": "/volume", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
            *secrets.mounts(release, names),
        ],
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": confinement.pod(release, release.project.image.user),
        **_beside(kept),
        "containers": [container],
        "volumes": [
            {"name": "volume", "persistentVolumeClaim": {"claimName": kept.claim}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
            *secrets.volumes(release, names),
        ],
    }
    template = {"metadata": {"labels": marks}, "spec": pod}
    spec = {
        "schedule": backup.schedule,
        "timeZone": "Etc/UTC",
        "concurrencyPolicy": "Forbid",
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {"spec": {"backoffLimit": 2, "ttlSecondsAfterFinished": 604800, "template": template}},
    }
    name = objects.named(release, kept.name, "backup")
    return objects.declared("CronJob", name, kept.namespace, marks, spec=spec)


def _beside(kept: Kept) -> Object:
    """Run where the volume is mounted: it can be on one node only."""
    if kept.beside is None:
        return {}
    term = {"labelSelector": {"matchLabels": kept.beside}, "topologyKey": "kubernetes.io/hostname"}
    return {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


def _policy(release: Release, namespace: str) -> Object:
    spec = {
        "podSelector": {"matchLabels": {objects.PART_OF: release.project.name, objects.COMPONENT: _COMPONENT}},
        "policyTypes": ["Egress"],
        "egress": [{"#outside": "To the bucket, over TLS.", "ports": [{"protocol": "TCP", "port": 443}]}],
    }
    marks = objects.project_labels(release, _COMPONENT)
    return objects.declared("NetworkPolicy", objects.named(release, "backup"), namespace, marks, spec=spec)
