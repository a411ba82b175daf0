"""What the cluster's Prometheus and Grafana are told: whom to ask, what is wrong, what to record, what to show."""

import dataclasses
import json
import re
from typing import Any

from windlass.generate import monitoring
from windlass.generate.kubernetes import objects, scaling
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import Server, everywhere, namespace_of, servers
from windlass.generate.text import seconds
from windlass.release import Release

# The label that tells projects of one cluster apart.
_PROJECT = "project"
# Metrics of servers, wherever an expression names one: not in quotes, where names of models are.
_METRIC = re.compile(r"""(?<![\w".-])(up|(?:nv|windlass)_[a-z0-9_]+|vllm:[a-z0-9_]+)(?![\w".-])(\{)?""")


def monitor(server: Server) -> list[Object]:
    """Return what has Prometheus ask a service's pods."""
    if not server.target.service_monitor:
        return []
    prometheus = server.release.project.observability.prometheus
    interval = {"interval": seconds(prometheus.scrape_interval)} if prometheus else {}
    spec = {
        "selector": {"matchLabels": everywhere(server.release, server.service)},
        "endpoints": [{"port": server.scraped[0], "path": "/metrics", **interval, "relabelings": _labels(server)}],
    }
    return [server.declared("ServiceMonitor", server.beside(), spec=spec)]


def _labels(server: Server) -> list[Object]:
    """Return the labels by which rules and dashboards know a service, here as beside containers."""
    named = {"service": server.service, _PROJECT: server.release.project.name}
    return [{"targetLabel": label, "replacement": value} for label, value in named.items()]


def rules(release: Release) -> list[Object]:
    """Return the rules of the project for the cluster's Prometheus."""
    if not objects.cluster(release).service_monitor:
        return []
    # GPUs and containers are the cluster's, and so are alarms about them.
    alarms = monitoring.groups(_without(release, dcgm=False, cadvisor=False))
    groups = [*_scoped(release, alarms), *(group for group in (_scaling(release),) if group["rules"])]
    if not groups:
        return []
    marks = objects.project_labels(release, "monitoring")
    home = namespace_of(release, None)
    return [objects.declared("PrometheusRule", objects.named(release), home, marks, spec={"groups": groups})]


def dashboard(release: Release) -> list[Object]:
    """Return the dashboard as Grafana's sidecar loads it, where the project wants one."""
    if release.project.observability.grafana is None:
        return []
    told = _scoped(release, json.loads(monitoring.dashboard(_without(release, cadvisor=False))))
    name = objects.named(release, "dashboard")
    marks = {**objects.project_labels(release, "monitoring"), "grafana_dashboard": "1"}
    data = {f"{name}.json": json.dumps(told, indent=2) + "\n"}
    return [objects.declared("ConfigMap", name, namespace_of(release, None), marks, data=data)]


def _without(release: Release, **observed: bool) -> Release:
    observability = release.project.observability.model_copy(update=observed)
    return dataclasses.replace(release, project=release.project.model_copy(update={"observability": observability}))


def _scoped(release: Release, value: Any) -> Any:
    """Return rules or panels whose expressions are about this project: others have servers in the cluster too."""
    if isinstance(value, list):
        return [_scoped(release, one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _METRIC.sub(lambda found: _selected(release, found), one)
        if key in ("expr", "query") and isinstance(one, str)
        else _scoped(release, one)
        for key, one in value.items()
    }


def _selected(release: Release, found: re.Match[str]) -> str:
    project = f'{_PROJECT}="{release.project.name}"'
    return f"{found[1]}{{{project}, " if found[2] else f"{found[1]}{{{project}}}"


def _scaling(release: Release) -> Object:
    found: list[Object] = []
    for server in servers(release):
        autoscale = server.value.autoscale
        if autoscale and autoscale.requests_per_second:
            found.append({"record": scaling.REQUESTS, "expr": _requests(server)})
        if autoscale and autoscale.gpu:
            found.append({"record": scaling.GPU, "expr": _gpu(server), "labels": {"service": server.name}})
    return {"name": f"{release.project.name}-scaling", "interval": "15s", "rules": found}


def _requests(server: Server) -> str:
    counter = "nv_inference_request_success" if server.speaks_grpc else "vllm:request_success_total"
    labels = f'{_PROJECT}="{server.release.project.name}", service="{server.service}"'
    return f"sum by (namespace, pod) (rate({counter}{{{labels}}}[1m]))"


def _gpu(server: Server) -> str:
    """Average over the GPUs of a service's pods, whether the exporter's labels were renamed or not."""
    name, pods = server.namespace, f"{server.name}-.*"
    renamed = f'DCGM_FI_DEV_GPU_UTIL{{exported_namespace="{name}", exported_pod=~"{pods}"}}'
    kept = f'DCGM_FI_DEV_GPU_UTIL{{namespace="{name}", pod=~"{pods}"}}'
    return f'label_replace(avg({renamed} or {kept}), "namespace", "{name}", "", "")'
