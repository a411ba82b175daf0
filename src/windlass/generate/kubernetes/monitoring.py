"""What the Prometheus operator is told: whom to ask for metrics, and what to record for the autoscaler."""

from windlass.generate.kubernetes import objects, scaling
from windlass.generate.kubernetes.objects import Object
from windlass.generate.kubernetes.server import Server, everywhere, namespace_of, servers
from windlass.generate.text import seconds
from windlass.release import Release


def monitor(server: Server) -> list[Object]:
    """Return what has Prometheus ask a service's pods."""
    if not server.target.service_monitor:
        return []
    prometheus = server.release.project.observability.prometheus
    interval = {"interval": seconds(prometheus.scrape_interval)} if prometheus else {}
    spec = {
        "selector": {"matchLabels": everywhere(server.release, server.service)},
        "endpoints": [{"port": server.scraped[0], "path": "/metrics", **interval}],
    }
    return [server.declared("ServiceMonitor", server.beside(), spec=spec)]


def rules(release: Release) -> list[Object]:
    """Return the rules of the project for the cluster's Prometheus."""
    if not objects.cluster(release).service_monitor:
        return []
    groups = [group for group in (_scaling(release),) if group["rules"]]
    if not groups:
        return []
    marks = objects.project_labels(release, "monitoring")
    home = namespace_of(release, None)
    return [objects.declared("PrometheusRule", objects.named(release), home, marks, spec={"groups": groups})]


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
    labels = f'namespace="{server.namespace}", pod=~"{server.name}-.*"'
    return f"sum by (namespace, pod) (rate({counter}{{{labels}}}[1m]))"


def _gpu(server: Server) -> str:
    """Average over the GPUs of a service's pods, whether the exporter's labels were renamed or not."""
    name, pods = server.namespace, f"{server.name}-.*"
    renamed = f'DCGM_FI_DEV_GPU_UTIL{{exported_namespace="{name}", exported_pod=~"{pods}"}}'
    kept = f'DCGM_FI_DEV_GPU_UTIL{{namespace="{name}", pod=~"{pods}"}}'
    return f'label_replace(avg({renamed} or {kept}), "namespace", "{name}", "", "")'
