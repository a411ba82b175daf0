"""Prometheus, Grafana, Alertmanager and exporters as containers. Only this machine reaches them."""

from collections.abc import Iterator

from windlass.generate.compose.container import Mapping, confined, limits, logging
from windlass.generate.compose.networks import privates
from windlass.generate.compose.remote import Configured, configured
from windlass.generate.monitoring import grafana, prometheus
from windlass.generate.text import Files
from windlass.release import Release

ALERTMANAGER = "prom/alertmanager:v0.28.1"
DCGM = "nvcr.io/nvidia/k8s/dcgm-exporter:4.4.1-4.5.2-ubuntu22.04"
CADVISOR = "gcr.io/cadvisor/cadvisor:v0.52.1"
_NOBODY, _GRAFANA = 65534, 472


def files(release: Release) -> Files:
    """Return the files that these containers mount."""
    observed = release.project.observability
    found: Files = {}
    if observed.prometheus:
        found |= {f"prometheus/{path}": text for path, text in prometheus.files(release).items()}
        if observed.alerts and observed.alerts.to:
            found["alertmanager/alertmanager.yml"] = prometheus.alertmanager(release, observed.alerts.to)
    if observed.prometheus and observed.grafana:
        found |= {f"grafana/{path}": text for path, text in grafana.files(release).items()}
    return found


def services(release: Release) -> Iterator[tuple[str, Mapping]]:
    """Yield the services that the project wants, with their names."""
    observed = release.project.observability
    if observed.prometheus:
        yield "prometheus", _prometheus(release)
        if observed.alerts and observed.alerts.to:
            yield "alertmanager", _alertmanager(release, observed.alerts.to)
        if observed.grafana:
            yield "grafana", _grafana(release)
    if observed.dcgm:
        yield "dcgm", _dcgm(release)
    if observed.cadvisor:
        yield "cadvisor", _cadvisor(release)


def _prometheus(release: Release) -> Mapping:
    wanted = release.project.observability.prometheus
    if wanted is None:
        raise ValueError("this is a bug in windlass: Prometheus was to be written for a project without it")
    texts = {f"prometheus/{path}": text for path, text in prometheus.files(release).items()}
    known = configured(release, Configured("prometheus", wanted.image, _below_etc(texts)), texts)
    return {
        **known,
        "command": [
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            f"--storage.tsdb.retention.time={wanted.retention / 3600:g}h",
        ],
        **_usual(release, "prometheus", _NOBODY),
        "ports": [f"127.0.0.1:{wanted.port}:9090"],
        "volumes": [*known.get("volumes", ()), {"type": "volume", "source": "prometheus", "target": "/prometheus"}],
        "healthcheck": _health(["CMD", "promtool", "check", "ready", "--url=http://localhost:9090"]),
        "deploy": {"resources": {"limits": limits(release, memory=2 * 2**30)}},
        "networks": [*privates(release), "monitoring", "outside"],
    }


def _alertmanager(release: Release, secret: str) -> Mapping:
    path = "alertmanager/alertmanager.yml"
    known = configured(release, Configured("alertmanager", ALERTMANAGER, {path: f"/etc/{path}"}), files(release))
    return {
        **known,
        "command": ["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"],
        **_usual(release, "alertmanager", _NOBODY, (secret,)),
        "volumes": [*known.get("volumes", ()), {"type": "volume", "source": "alertmanager", "target": "/alertmanager"}],
        "healthcheck": _health(["CMD", "wget", "-q", "-O", "/dev/null", "http://localhost:9093/-/ready"]),
        "deploy": {"resources": {"limits": limits(release, memory=256 * 2**20)}},
        "networks": ["monitoring", "outside"],
    }


def _grafana(release: Release) -> Mapping:
    wanted = release.project.observability.grafana
    if wanted is None:
        raise ValueError("this is a bug in windlass: Grafana was to be written for a project without it")
    texts = {f"grafana/{path}": text for path, text in grafana.files(release).items()}
    known = configured(release, Configured("grafana", wanted.image, _below_etc(texts)), texts)
    secrets = (wanted.password,) if wanted.password else ()
    password = {"GF_SECURITY_ADMIN_PASSWORD__FILE": f"/run/secrets/{wanted.password}"} if wanted.password else {}
    return {
        **known,
        **_usual(release, "grafana", _GRAFANA, secrets),
        "environment": {
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_USERS_ALLOW_SIGN_UP": "false",
            **password,
        },
        "ports": [f"127.0.0.1:{wanted.port}:3000"],
        "volumes": [*known.get("volumes", ()), {"type": "volume", "source": "grafana", "target": "/var/lib/grafana"}],
        "healthcheck": _health(["CMD", "wget", "-q", "-O", "/dev/null", "http://localhost:3000/api/health"]),
        "depends_on": {"prometheus": {"condition": "service_started"}},
        "deploy": {"resources": {"limits": limits(release, memory=512 * 2**20)}},
        "networks": ["monitoring", "outside"],
    }


def _dcgm(release: Release) -> Mapping:
    return {
        "image": DCGM,
        "restart": "unless-stopped",
        "#admin": "NVIDIA's profiling counters are read with this capability, by root.",
        **confined(release, user="0:0", add=("SYS_ADMIN",)),
        "deploy": {
            "resources": {
                "limits": limits(release, memory=512 * 2**20),
                "reservations": {"devices": [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]},
            }
        },
        "networks": ["monitoring"],
        "logging": logging(release, "dcgm"),
    }


def _cadvisor(release: Release) -> Mapping:
    seen = {"/": "/rootfs", "/var/run": "/var/run", "/sys": "/sys", "/var/lib/docker": "/var/lib/docker"}
    return {
        "image": CADVISOR,
        "command": ["--docker_only=true", "--store_container_labels=true", "--housekeeping_interval=10s"],
        "restart": "unless-stopped",
        "#root": "It reads what the kernel tells of every container; it writes nowhere.",
        **confined(release, user="0:0", add=("DAC_READ_SEARCH",)),
        "volumes": [
            {"type": "bind", "source": source, "target": target, "read_only": True} for source, target in seen.items()
        ],
        "deploy": {"resources": {"limits": limits(release, memory=512 * 2**20)}},
        "networks": ["monitoring"],
        "logging": logging(release, "cadvisor"),
    }


def _usual(release: Release, name: str, user: int, secrets: tuple[str, ...] = ()) -> Mapping:
    return {
        "restart": "unless-stopped",
        **confined(release, user=f"{user}:{user}", secrets=secrets),
        **({"secrets": list(secrets)} if secrets else {}),
        "logging": logging(release, name),
    }


def _below_etc(texts: Files) -> dict[str, str]:
    return {path: f"/etc/{path}" for path in texts}


def _health(test: list[str]) -> Mapping:
    return {
        "test": test,
        "interval": "10s",
        "timeout": "5s",
        "retries": 3,
        "start_period": "60s",
        "start_interval": "2s",
    }
