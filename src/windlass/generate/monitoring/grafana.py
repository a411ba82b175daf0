"""What Grafana finds when it starts: where figures are, and the dashboard that shows them."""

from windlass.generate.monitoring.dashboard import dashboard
from windlass.generate.text import Files, yaml_text
from windlass.release import Release

DASHBOARDS = "/etc/grafana/dashboards"


def files(release: Release) -> Files:
    """Return the files of Grafana's provisioning, below `/etc/grafana`."""
    head = f"Written by windlass {release.version} for project `{release.project.name}`."
    source = {
        "name": "Prometheus",
        "uid": "prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": "http://prometheus:9090",
        "isDefault": True,
        "editable": False,
    }
    provider = {
        "name": "windlass",
        "type": "file",
        "allowUiUpdates": False,
        "disableDeletion": True,
        "options": {"path": DASHBOARDS},
    }
    return {
        "provisioning/datasources/prometheus.yaml": yaml_text({"apiVersion": 1, "datasources": [source]}, comment=head),
        "provisioning/dashboards/windlass.yaml": yaml_text({"apiVersion": 1, "providers": [provider]}, comment=head),
        "dashboards/models.json": dashboard(release),
    }
