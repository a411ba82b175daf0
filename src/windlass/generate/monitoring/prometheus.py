"""Prometheus' configuration: whom it asks, how often, and whom it tells."""

from typing import Any

from windlass.generate.monitoring.alerts import groups
from windlass.generate.text import Files, seconds, yaml_text
from windlass.release import Release

Mapping = dict[str, Any]


def files(release: Release) -> Files:
    """Return the configuration and its rules."""
    head = f"Whom Prometheus asks about project `{release.project.name}`. Written by windlass {release.version}."
    texts = {"prometheus.yml": yaml_text(_configuration(release), comment=head)}
    if rules := groups(release):
        head = f"What is wrong with project `{release.project.name}` when it is. Written by windlass {release.version}."
        texts["rules.yml"] = yaml_text({"groups": rules}, comment=head)
    return texts


def alertmanager(release: Release, secret: str) -> str:
    """Return Alertmanager's configuration: everything goes to one webhook, whose URL is a secret."""
    head = f"Who hears of alerts of project `{release.project.name}`. Written by windlass {release.version}."
    route = {
        "receiver": "webhook",
        "group_by": ["alertname", "service"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "4h",
    }
    hooks = [{"url_file": f"/run/secrets/{secret}", "send_resolved": True}]
    return yaml_text({"route": route, "receivers": [{"name": "webhook", "webhook_configs": hooks}]}, comment=head)


def _configuration(release: Release) -> Mapping:
    observed = release.project.observability
    interval = seconds(observed.prometheus.scrape_interval if observed.prometheus else 15.0)
    found: Mapping = {"global": {"scrape_interval": interval, "evaluation_interval": interval}}
    if observed.alerts is not None:
        found["rule_files"] = ["rules.yml"]
    if observed.alerts is not None and observed.alerts.to:
        targets = [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]
        found["alerting"] = {"alertmanagers": targets}
    found["scrape_configs"] = _jobs(release)
    return found


def _jobs(release: Release) -> list[Mapping]:
    observed = release.project.observability
    jobs = [_server(name, 8000 if one.runtime == "vllm" else 8002) for name, one in release.project.services.items()]
    if observed.dcgm:
        jobs.append({"job_name": "dcgm", "static_configs": [{"targets": ["dcgm:9400"]}]})
    if observed.cadvisor:
        jobs.append({"job_name": "cadvisor", "static_configs": [{"targets": ["cadvisor:8080"]}]})
    return jobs


def _server(name: str, port: int) -> Mapping:
    return {
        "job_name": name,
        "#replicas": "Every replica has an address under the service's name.",
        "dns_sd_configs": [{"names": [name], "type": "A", "port": port, "refresh_interval": "10s"}],
        "relabel_configs": [{"target_label": "service", "replacement": name}],
    }
