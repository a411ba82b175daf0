"""Other people's tools are here and tell good input from bad."""

import subprocess
from pathlib import Path

import pytest

from tools import place, pypi

VERSIONS = ["1.29", "1.33", "1.37"]

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  replicas: 2
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: server
          image: registry.example/shop:1
"""

RULES = """
groups:
  - name: windlass
    rules:
      - alert: Down
        expr: up == 0
        for: 1m
"""

WORKFLOW = """
name: build
on: push
permissions: {}
jobs:
  build:
    runs-on: ubuntu-24.04
    steps:
      - run: make
"""

NGINX = """
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{ access_log off; server {{ listen 127.0.0.1:8000; location / {{ return 200; }} }} }}
"""

# A tool, its arguments, the name of a file, and good and bad text for it.
CHECKS = {
    "kubernetes-validate": (["--strict", "-k", "1.33"], "d.yaml", DEPLOYMENT, ("replicas: 2", "replica: 2")),
    "kubeconform": (["-strict", "-kubernetes-version", "1.33.0"], "d.yaml", DEPLOYMENT, ("replicas: 2", "replicas: a")),
    "promtool": (["check", "rules"], "rules.yaml", RULES, ("up == 0", "up == ")),
    "actionlint": ([], "build.yaml", WORKFLOW, ("runs-on: ubuntu-24.04", "runs: ubuntu-24.04")),
    "check-jsonschema": (["--builtin-schema", "vendor.github-workflows"], "b.yaml", WORKFLOW, ("on: push", "on: 1")),
    "zizmor": (
        ["--offline"],
        "build.yml",
        WORKFLOW,
        ("run: make", "run: echo ${{ github.event.issue.title }}"),
    ),
    "yamllint": (["--strict", "-d", "relaxed"], "a.yaml", "a: 1\n", ("a: 1", "a: 1\na: 2")),
    "hadolint": ([], "Dockerfile", "FROM debian:12\nUSER 65534\n", ("debian:12", "debian:latest")),
    "checkov": (
        ["--compact", "--quiet", "--framework", "dockerfile", "--check", "CKV_DOCKER_3", "--file"],
        "Dockerfile",
        "FROM debian:12\nUSER 65534\n",
        ("USER 65534", "RUN true"),
    ),
    "kubectl": (["kustomize"], "k/kustomization.yaml", "namePrefix: a-\n", ("namePrefix", "namePerfix")),
}


def accepts(command: list[str | Path], **environment: str) -> tuple[bool, str]:
    done = subprocess.run(command, capture_output=True, text=True, env=place.environment(**environment))
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", CHECKS)
def test_a_tool_tells_good_from_bad(tool, name, tmp_path):
    arguments, file, good, (word, worse) = CHECKS[name]
    if name == "kubeconform":
        arguments = [*arguments, "-schema-location", pypi.kubernetes_schemas()]
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    target = path.parent if name == "kubectl" else path

    path.write_text(good)
    fine, said = accepts([tool(name), *arguments, target])
    path.write_text(good.replace(word, worse))
    bad, _ = accepts([tool(name), *arguments, target])

    assert fine, said
    assert not bad


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_checked_for_several_versions_of_kubernetes(tool, version, tmp_path):
    path = tmp_path / "deployment.yaml"
    path.write_text(DEPLOYMENT)

    fine, said = accepts([tool("kubernetes-validate"), "--strict", "-k", version, path])
    flags = ["-strict", "-kubernetes-version", f"{version}.0", "-schema-location", pypi.kubernetes_schemas()]
    formed, also = accepts([tool("kubeconform"), *flags, path])

    assert fine, said
    assert formed, also


def test_nginx_checks_a_configuration(tool, tmp_path):
    path = tmp_path / "nginx.conf"
    path.write_text(NGINX.format(folder=tmp_path))
    fine, said = accepts([tool("nginx"), "-t", "-q", "-p", tmp_path, "-c", path])
    path.write_text(NGINX.format(folder=tmp_path).replace("return 200", "retrun 200"))
    bad, fault = accepts([tool("nginx"), "-t", "-q", "-p", tmp_path, "-c", path])

    assert fine, said
    assert not bad
    assert 'unknown directive "retrun"' in fault


def test_helm_renders_and_lints_a_chart(tool, tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    (tmp_path / "values.yaml").write_text("replicas: 3\n")
    template = tmp_path / "templates" / "deployment.yaml"
    template.write_text(DEPLOYMENT.replace("replicas: 2", "replicas: {{ .Values.replicas }}"))

    rendered = place.run(tool("helm"), "template", tmp_path, "--set", "replicas=5")
    linted, said = accepts([tool("helm"), "lint", "--strict", tmp_path])
    template.write_text("{{ .Values.replicas")
    bad, _ = accepts([tool("helm"), "lint", tmp_path])

    assert "replicas: 5" in rendered
    assert linted, said
    assert not bad


def test_a_missing_tool_says_how_it_is_installed():
    with pytest.raises(place.Missing, match="`make tools` installs it"):
        place.program("no-such-tool")


def test_what_was_made_from_other_sources_is_made_again(monkeypatch, tmp_path):
    monkeypatch.setattr(place, "FOLDER", tmp_path)
    calls = []

    def make(folder: Path) -> None:
        calls.append(1)
        assert not list(folder.iterdir())
        (folder / "file").touch()

    for key in ("1", "1", "2"):
        place.made("thing", key, make)

    assert len(calls) == 2
