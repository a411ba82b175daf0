"""A Grafana dashboard: requests, latency, failures, waits, batches, and what machines and GPUs do."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from windlass.generate.monitoring import expressions
from windlass.release import Release

Mapping = dict[str, Any]
_WINDOW = "$__rate_interval"
_CHOSEN = 'service=~"$service", model=~"$model"'
_SOURCE = {"type": "prometheus", "uid": "prometheus"}
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph: what it shows, in which unit, and a line for each expression with its legend."""

    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    about: str = ""


def dashboard(release: Release) -> str:
    """Return the dashboard as JSON."""
    name = release.project.name
    return (
        json.dumps(
            {
                "uid": f"windlass-{name}"[:40],
                "title": f"Models of {name}",
                "description": f"Written by windlass {release.version}",
                "tags": ["windlass"],
                "editable": True,
                "schemaVersion": 39,
                "version": 1,
                "refresh": "30s",
                "time": {"from": "now-1h", "to": "now"},
                "timezone": "browser",
                "templating": {"list": _variables(release)},
                "panels": [_drawn(index, panel) for index, panel in enumerate(panels(release))],
            },
            indent=2,
        )
        + "\n"
    )


def panels(release: Release) -> list[Panel]:
    """Return what is shown, for the runtimes and exporters that the project has."""
    runtimes = {service.runtime for service in release.project.services.values()}
    found: list[Panel] = []
    if runtimes & {"windlass", "triton"}:
        found += _of_models("windlass" in runtimes)
    if "vllm" in runtimes:
        found += _of_language_models()
    found += _of_machines(release)
    return found


def _of_models(histograms: bool) -> Iterator[Panel]:
    each = "{{service}} {{model}}"
    yield Panel("Requests", "reqps", ((expressions.requests(_WINDOW, _CHOSEN), each),))
    if histograms:
        told = tuple((expressions.latency(q, _WINDOW, _CHOSEN), f"p{q * 100:g} {each}") for q in (0.5, 0.99))
        yield Panel("Latency", "s", told, "From the arrival of a request to its answer")
    yield Panel("Mean latency", "s", ((expressions.mean_latency(_WINDOW, _CHOSEN), each),))
    yield Panel("Failures", "percentunit", ((expressions.failure_share(_WINDOW, _CHOSEN), each),))
    yield Panel("Wait in the queue", "s", ((expressions.wait(_WINDOW, _CHOSEN), each),))
    yield Panel("Requests that wait", "short", ((expressions.pending(_CHOSEN), each),))
    yield Panel("Batch size", "short", ((expressions.batch_size(_WINDOW, _CHOSEN), each),))


def _of_language_models() -> Iterator[Panel]:
    each, chosen = "{{service}} {{model_name}}", 'service=~"$service"'
    by = "sum by (service, model_name)"
    yield Panel("Tokens", "short", ((f"{by} (rate(vllm:generation_tokens_total{{{chosen}}}[{_WINDOW}]))", each),))
    yield Panel("Latency of language models", "s", ((expressions.language_latency(0.99, _WINDOW, chosen), each),))
    states = (("running", "runs"), ("waiting", "waits"))
    lines = tuple((f"{by} (vllm:num_requests_{state}{{{chosen}}})", f"{word} {each}") for state, word in states)
    yield Panel("Requests of language models", "short", lines)


def _of_machines(release: Release) -> Iterator[Panel]:
    observed = release.project.observability
    if observed.dcgm:
        yield Panel("GPU use", "percent", (("DCGM_FI_DEV_GPU_UTIL", "GPU {{gpu}}"),))
        used = "DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)"
        yield Panel("GPU memory", "percentunit", ((used, "GPU {{gpu}}"),))
    elif any(service.gpus for service in release.project.services.values()):
        yield Panel("GPU use", "percentunit", (("max by (gpu_uuid) (nv_gpu_utilization)", "{{gpu_uuid}}"),))
        used = "max by (gpu_uuid) (nv_gpu_memory_used_bytes / nv_gpu_memory_total_bytes)"
        yield Panel("GPU memory", "percentunit", ((used, "{{gpu_uuid}}"),))
    if observed.cadvisor:
        labels = f'container_label_com_docker_compose_project="{release.project.name}"'
        cpu = f"sum by (name) (rate(container_cpu_usage_seconds_total{{{labels}}}[{_WINDOW}]))"
        yield Panel("CPU cores", "short", ((cpu, "{{name}}"),))
        memory = f"sum by (name) (container_memory_working_set_bytes{{{labels}}})"
        yield Panel("Memory", "bytes", ((memory, "{{name}}"),))
    else:
        yield Panel("CPU use", "percentunit", (("max by (service) (nv_cpu_utilization)", "{{service}}"),))
    yield Panel("Servers that answer", "short", (('sum by (service) (up{service!=""})', "{{service}}"),))


def _variables(release: Release) -> list[Mapping]:
    asked = {"service": 'label_values(up{service!=""}, service)', "model": "label_values(nv_inference_count, model)"}
    if all(service.runtime == "vllm" for service in release.project.services.values()):
        del asked["model"]
    return [
        {
            "name": name,
            "type": "query",
            "datasource": _SOURCE,
            "query": query,
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "current": {"text": "All", "value": "$__all"},
        }
        for name, query in asked.items()
    ]


def _drawn(index: int, panel: Panel) -> Mapping:
    return {
        "id": index + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": {
            "x": index % _COLUMNS * _WIDTH,
            "y": index // _COLUMNS * _HEIGHT,
            "w": _WIDTH,
            "h": _HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for number, (expression, legend) in enumerate(panel.lines)
        ],
    }
