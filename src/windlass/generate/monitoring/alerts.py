"""Rules that tell what is wrong: slow, failing, waiting, gone, coming and going."""

from collections.abc import Iterator
from typing import Any

from windlass.config.project.observability import Alerts
from windlass.generate.monitoring import expressions
from windlass.generate.text import seconds
from windlass.release import Release

Rule = dict[str, Any]
# Long enough to have a rate at any scrape interval, short enough to tell soon.
_WINDOW = "5m"


def groups(release: Release) -> list[dict[str, Any]]:
    """Return groups of rules as Prometheus takes them; none where the project wants no alerts."""
    alerts = release.project.observability.alerts
    if alerts is None:
        return []
    name = release.project.name
    rules = [*_servers(release, alerts), *_models(release), *_machines(release)]
    return [{"name": name, "rules": rules}]


def _servers(release: Release, alerts: Alerts) -> Iterator[Rule]:
    after = seconds(alerts.after)
    runtimes = {service.runtime for service in release.project.services.values()}
    if "windlass" in runtimes:
        told = "99 of 100 requests to {{ $labels.model }} take up to {{ $value | humanizeDuration }}"
        yield _rule("Slow", f"{expressions.latency(0.99, _WINDOW)} > {alerts.p99:g}", told, after, "warning")
    if "triton" in runtimes:
        services = "|".join(name for name, one in release.project.services.items() if one.runtime == "triton")
        # Triton has no histogram of latencies: where the mean is over the limit, so is much more than one of 100.
        slow = expressions.mean_latency(_WINDOW, f'service=~"{services}"')
        told = "requests to {{ $labels.model }} take {{ $value | humanizeDuration }} on average"
        yield _rule("SlowOnTriton", f"{slow} > {alerts.p99:g}", told, after, "warning")
    if runtimes & {"windlass", "triton"}:
        told = "{{ $value | humanizePercentage }} of requests to {{ $labels.model }} fail"
        yield _rule("Failing", f"{expressions.failure_share(_WINDOW)} > {alerts.error_rate:g}", told, after, "critical")
        told = "requests to {{ $labels.model }} wait {{ $value | humanizeDuration }} for their turn"
        yield _rule("Waiting", f"{expressions.wait(_WINDOW)} > {alerts.queue:g}", told, after, "warning")
    if "vllm" in runtimes:
        told = "99 of 100 requests to {{ $labels.model_name }} take up to {{ $value | humanizeDuration }}"
        # An answer of a language model is long: ten times the limit of other models.
        slow = f"{expressions.language_latency(0.99, _WINDOW)} > {10 * alerts.p99:g}"
        yield _rule("SlowLanguageModel", slow, told, after, "warning")
    told = "a server of {{ $labels.service }} does not answer: {{ $labels.instance }}"
    yield _rule("ServerGone", 'up{service!=""} == 0', told, "1m", "critical")
    told = "no server of {{ $labels.service }} is there"
    for service in release.project.services:
        gone = f'absent(up{{service="{service}"}})'
        yield _rule("ServiceGone", gone, told, "1m", "critical", service=service)
    told = "a server of {{ $labels.service }} comes and goes: {{ $labels.instance }}"
    yield _rule("Restarting", 'changes(up{service!=""}[15m]) > 3', told, "0s", "warning")


def _models(release: Release) -> Iterator[Rule]:
    """Yield a rule for each model that is known: its server answers, and the model is not loaded."""
    for service, models in release.models.items():
        if release.project.services[service].runtime != "windlass":
            continue
        for model in models:
            labels = f'service="{service}", model="{model.name}"'
            unready = f'absent(nv_model_load_duration_secs{{{labels}}}) and on () up{{service="{service}"}} == 1'
            told = "model {{ $labels.model }} of {{ $labels.service }} is not loaded"
            yield _rule("ModelUnready", unready, told, "2m", "critical", service=service, model=model.name)


def _machines(release: Release) -> Iterator[Rule]:
    observed = release.project.observability
    if observed.dcgm:
        fault = "DCGM_FI_DEV_XID_ERRORS > 0"
        yield _rule("GpuFault", fault, "GPU {{ $labels.gpu }} reports error {{ $value }}", "0s", "critical")
        used = "DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE) > 0.97"
        yield _rule("GpuMemoryFull", used, "memory of GPU {{ $labels.gpu }} is full", "5m", "warning")
    if observed.cadvisor:
        labels = f'container_label_com_docker_compose_project="{release.project.name}"'
        starts = f"changes(container_start_time_seconds{{{labels}}}[15m]) > 2"
        yield _rule("ContainerRestarting", starts, "{{ $labels.name }} starts again and again", "0s", "warning")


def _rule(name: str, expression: str, told: str, after: str, severity: str, **labels: str) -> Rule:  # noqa: PLR0913
    found: Rule = {"alert": name, "expr": expression}
    if after != "0s":
        found["for"] = after
    return {**found, "labels": {"severity": severity, **labels}, "annotations": {"summary": told}}
