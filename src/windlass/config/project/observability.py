"""What is measured, shown, shipped and alarmed."""

from typing import Literal

from pydantic import Field

from windlass.config.project.part import Part
from windlass.config.project.quantities import Duration, Port, SecretName


class Prometheus(Part):
    """Metrics, gathered and kept."""

    port: Port = 9090
    """The port on this machine."""
    scrape_interval: Duration = 15.0
    """How often servers are asked."""
    retention: Duration = 1296000.0
    """How long figures are kept."""
    image: str = "prom/prometheus:v3.5.0"
    """The image."""


class Grafana(Part):
    """Dashboards."""

    port: Port = 3000
    """The port on this machine."""
    password: SecretName | None = None
    """The secret with the administrator's password. Where left out Grafana makes its first one on its own and asks
    for another at the first login."""
    image: str = "grafana/grafana:12.1.0"
    """The image."""


class Alerts(Part):
    """When somebody is told."""

    p99: Duration = 1.0
    """A latency that 99 of 100 requests stay under."""
    error_rate: float = Field(default=0.01, gt=0, lt=1)
    """A share of requests that may fail."""
    queue: Duration = 0.5
    """A mean time that requests may wait."""
    after: Duration = 300.0
    """How long something must have been wrong."""
    to: SecretName | None = None
    """The secret with the URL of a webhook that alerts are sent to."""


class Logs(Part):
    """Where log lines go."""

    ship: Literal["none", "fluent-bit", "fluentd", "elk"] = "none"
    """What carries them: nothing (the container runtime keeps and rotates them), Fluent Bit, Fluentd, or Filebeat to
    Elasticsearch with Kibana."""
    to: str | None = None
    """The address of what takes them: `http://elasticsearch:9200`, `forward://logs:24224`."""
    credentials: SecretName | None = None
    """The secret with `user:password` for that address."""
    max_size: str = Field(default="10m", pattern=r"^\d+[kmg]$")
    """Size at which the container runtime starts another log file."""
    max_files: int = Field(default=5, ge=1)
    """How many log files it keeps."""


class Traces(Part):
    """Traces of requests."""

    url: str = Field(pattern=r"^https?://\S+$")
    """The OTLP collector: `http://collector:4318/v1/traces`."""
    rate: int = Field(default=1000, ge=1)
    """One of so many requests is followed."""


class Observability(Part):
    """What is measured, shown, shipped and alarmed."""

    prometheus: Prometheus | None = None
    """Gathers metrics; on Kubernetes the cluster's own is told by a ServiceMonitor."""
    grafana: Grafana | None = None
    """Shows them on a dashboard that is provisioned."""
    alerts: Alerts | None = None
    """Rules for what is wrong."""
    logs: Logs = Logs()
    """Where log lines go."""
    traces: Traces | None = None
    """Traces of requests over OTLP."""
    dcgm: bool = False
    """Whether NVIDIA's exporter measures the GPUs."""
    cadvisor: bool = False
    """Whether cAdvisor measures the containers."""
