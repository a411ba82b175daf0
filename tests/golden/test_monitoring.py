"""What Prometheus, Alertmanager and Grafana are given, as their own tools read it."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from support.golden import CASES

METRICS = CASES.parents[1] / "docs" / "reference" / "metrics.md"
# Metrics of others: vLLM, DCGM's exporter, cAdvisor, Prometheus itself.
OTHERS = re.compile(
    r"up|vllm:(e2e_request_latency_seconds_bucket|generation_tokens_total|num_requests_(running|waiting))"
    r"|DCGM_FI_DEV_(GPU_UTIL|FB_USED|FB_FREE|XID_ERRORS)"
    r"|container_(cpu_usage_seconds_total|memory_working_set_bytes|start_time_seconds)"
)
WORDS = {"by", "le", "on", "and", "or", "service", "model", "model_name", "gpu_uuid", "name", "sum", "max"}

SLOW = """
rule_files: [RULES]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: windlass_request_duration_seconds_bucket{service="image",model="ocr",le="0.5"}
        values: 0+10x20
      - series: windlass_request_duration_seconds_bucket{service="image",model="ocr",le="1"}
        values: 0+60x20
      - series: windlass_request_duration_seconds_bucket{service="image",model="ocr",le="+Inf"}
        values: 0+60x20
      - series: nv_inference_request_success{service="image",model="ocr"}
        values: 0+57x20
      - series: nv_inference_request_failure{service="image",model="ocr",reason="OTHER"}
        values: 0+3x20
      - series: nv_inference_request_success{service="speech",model="whisper"}
        values: 0+60x20
      - series: nv_inference_queue_duration_us{service="speech",model="whisper"}
        values: 0+60000000x20
      - series: up{service="image",instance="a:8002"}
        values: 1x20
      - series: up{service="speech",instance="b:8002"}
        values: 0x20
      - series: nv_model_load_duration_secs{service="image",model="ocr"}
        values: 1x20
    alert_rule_test:
      - eval_time: 15m
        alertname: Slow
        exp_alerts:
          - exp_labels: {severity: warning, service: image, model: ocr}
            exp_annotations: {summary: "99 of 100 requests to ocr take up to 994ms"}
      - eval_time: 15m
        alertname: Failing
        exp_alerts:
          - exp_labels: {severity: critical, service: image, model: ocr}
            exp_annotations: {summary: "5% of requests to ocr fail"}
      - eval_time: 15m
        alertname: Waiting
        exp_alerts:
          - exp_labels: {severity: warning, service: speech, model: whisper}
            exp_annotations: {summary: "requests to whisper wait 1s for their turn"}
      - eval_time: 15m
        alertname: ServerGone
        exp_alerts:
          - exp_labels: {severity: critical, service: speech, instance: "b:8002"}
            exp_annotations: {summary: "a server of speech does not answer: b:8002"}
      - eval_time: 15m
        alertname: ServiceGone
        exp_alerts:
          - exp_labels: {severity: critical, service: text}
            exp_annotations: {summary: "no server of text is there"}
      - eval_time: 15m
        alertname: ModelUnready
        exp_alerts:
          - exp_labels: {severity: critical, service: image, model: screenshot-kind}
            exp_annotations: {summary: "model screenshot-kind of image is not loaded"}
          - exp_labels: {severity: critical, service: image, model: screenshot-text}
            exp_annotations: {summary: "model screenshot-text of image is not loaded"}
"""


def written(name: str) -> list[Path]:
    """Every golden file of that name."""
    return sorted(CASES.glob(f"*/expected/**/{name}"))


def run(*words: object) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def expressions(dashboard: Path) -> list[str]:
    """The expressions of a dashboard, with something in the place of its variables."""
    panels = json.loads(dashboard.read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    return [re.sub(r"\$(service|model)", ".*", expression.replace("$__rate_interval", "5m")) for expression in found]


@pytest.mark.parametrize("file", written("prometheus.yml"), ids=lambda path: path.parts[-5])
def test_prometheus_accepts_its_configuration_and_rules(file, tool):
    run(tool("promtool"), "check", "config", "--lint=all", "--lint-fatal", file)


@pytest.mark.parametrize("file", written("alertmanager.yml"), ids=lambda path: path.parts[-5])
def test_alertmanager_accepts_its_configuration(file, tool):
    run(tool("amtool"), "check-config", file)


def test_rules_tell_what_is_wrong_and_nothing_else(tool, tmp_path):
    rules = CASES / "helpdesk" / "expected" / "compose" / "prometheus" / "rules.yml"
    (tmp_path / "test.yml").write_text(SLOW.replace("RULES", str(rules)))

    run(tool("promtool"), "test", "rules", tmp_path / "test.yml")


@pytest.mark.parametrize("file", written("models.json"), ids=lambda path: path.parts[-5])
def test_every_expression_of_a_dashboard_can_be_evaluated(file, tool, tmp_path):
    rules = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(expressions(file))]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    assert len(rules) > 5
    run(tool("promtool"), "check", "rules", tmp_path / "rules.yml")


@pytest.mark.parametrize("file", [*written("models.json"), *written("rules.yml")], ids=lambda path: path.parts[-5])
def test_every_metric_is_one_that_somebody_exposes(file):
    if file.suffix == ".json":
        asked = expressions(file)
    else:
        asked = [rule["expr"] for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
    known = set(re.findall(r"^\| `([a-z_]+)`", METRICS.read_text(), re.MULTILINE))
    known |= {f"{name}_bucket" for name in known}

    for expression in asked:
        bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b\d\w*|[a-z_]+(?= ?\()", " ", expression)
        metrics = set(re.findall(r"[A-Za-z_][A-Za-z_:]*\w*", bare)) - WORDS
        strangers = {name for name in metrics if name not in known and not OTHERS.fullmatch(name)}
        assert metrics and not strangers, (expression, strangers)
