"""What is measured, shown, alarmed and shipped, as texts for Prometheus, Grafana, Alertmanager and shippers of logs.

Every expression is over metrics that servers really have: docs/reference/metrics.md.
"""

from windlass.generate.monitoring.alerts import groups
from windlass.generate.monitoring.dashboard import dashboard

__all__ = ["dashboard", "groups"]
