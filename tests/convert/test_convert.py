"""Compose files as people write them become manifests that a cluster takes, and nothing is lost in silence."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.golden import compare
from windlass.config.compose import read_compose
from windlass.config.yaml_text import parse
from windlass.errors import ConfigError
from windlass.generate import Files
from windlass.generate.convert import Choice, manifests

WINDLASS = str(Path(sys.executable).with_name("windlass"))
HERE = Path(__file__).parent
INPUTS = sorted(folder.name for folder in (HERE / "inputs").iterdir())
# What stands in files beside the inputs, or in their environment, and may stand nowhere else.
SECRETS = ("not-to-be-written-anywhere", "hunter2", "a key that must stay where it is", "$apr1$x")


def converted(path: Path, profiles: tuple[str, ...] = (), **variables: str) -> Files:
    compose, findings = read_compose(path, profiles, variables)
    told = [replace(finding, where=finding.where.removeprefix(f"{path.parent}/")) for finding in findings]
    return manifests(compose, told, Choice(compose.name, compose.name))


def objects(files: Files) -> dict[tuple[str, str], dict[str, Any]]:
    found = {}
    for path, text in files.items():
        for document in text.split("\n---\n") if path.endswith(".yaml") else ():
            value = parse(document, path).value
            found[(value["kind"], value.get("metadata", {}).get("name", ""))] = value
    return found


@pytest.fixture
def compose(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "compose.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("name", INPUTS)
def test_files_of_the_field_become_what_was_reviewed(name, update_golden):
    files = converted(HERE / "inputs" / name / "compose.yaml", TAG="7")
    compare(files, HERE / "expected" / name, update_golden)
    assert not [secret for secret in SECRETS for text in files.values() if secret in text]


@pytest.mark.parametrize("name", INPUTS)
def test_every_reference_among_the_manifests_leads_somewhere(name):
    made = objects(converted(HERE / "inputs" / name / "compose.yaml", TAG="7"))
    external = {"hf-cache"}
    for (kind, _), value in made.items():
        if kind not in ("Deployment", "DaemonSet", "Job"):
            continue
        pod = value["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            assert claim is None or claim in external or ("PersistentVolumeClaim", claim) in made
            config = volume.get("configMap", {}).get("name")
            assert config is None or ("ConfigMap", config) in made
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes.keys()
            for source in container.get("envFrom", []):
                assert ("ConfigMap", source["configMapRef"]["name"]) in made


def test_a_service_that_ends_before_another_starts_becomes_its_first_step():
    made = objects(converted(HERE / "inputs" / "migrations" / "compose.yaml"))
    pod = made["Deployment", "server"]["spec"]["template"]["spec"]
    assert [step["name"] for step in pod["initContainers"]] == ["fetch-models"]
    assert ("Job", "fetch-models") not in made
    assert made["Job", "report"]["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure"


def test_profiles_are_taken_where_asked():
    path = HERE / "inputs" / "profiles" / "compose.yaml"
    assert ("Deployment", "prometheus") not in objects(converted(path, TAG="7"))
    assert ("Deployment", "prometheus") in objects(converted(path, ("monitoring",), TAG="7"))


def test_a_variable_that_must_be_set_is_asked_for():
    with pytest.raises(ConfigError, match="say which TAG") as raised:
        converted(HERE / "inputs" / "profiles" / "compose.yaml")
    assert raised.value.hint is not None
    assert "--set TAG=VALUE" in raised.value.hint


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$NAME", "set"),
        ("${NAME}", "set"),
        ("${NAME:-other}", "set"),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY-other}", ""),
        ("${ABSENT-other}", "other"),
        ("${ABSENT:-${NAME}}", "set"),
        ("${NAME:+there}", "there"),
        ("${ABSENT:+there}", ""),
        ("$$NAME costs $$5", "$NAME costs $5"),
    ],
)
def test_variables_are_filled_in_as_compose_does(compose, text, value):
    path = compose(f"services: {{a: {{image: x, environment: {{IT: '{text}'}}}}}}\n")
    made = objects(converted(path, NAME="set", EMPTY=""))
    assert made["ConfigMap", "a-environment"]["data"] == {"IT": value}


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ("8000", [(8000, "TCP")]),
        ("8080:8000", [(8000, "TCP")]),
        ("127.0.0.1:8080:8000/udp", [(8000, "UDP")]),
        ("'[::1]:8080:8000'", [(8000, "TCP")]),
        ("22:22", [(22, "TCP")]),
        ("9000-9001:8000-8001", [(8000, "TCP"), (8001, "TCP")]),
        ("{target: 8000, published: 80, protocol: tcp}", [(8000, "TCP")]),
    ],
)
def test_ports_in_all_spellings(compose, port, expected):
    made = objects(converted(compose(f"services: {{a: {{image: x, ports: [{port}]}}}}\n")))
    assert [(one["port"], one["protocol"]) for one in made["Service", "a"]["spec"]["ports"]] == expected


def test_a_port_that_only_callers_know_is_found(compose):
    text = "services: {cache: {image: redis}, app: {image: x, environment: {URL: 'redis://cache:6379/0'}}}\n"
    made = objects(converted(compose(text)))
    assert made["Service", "cache"]["spec"]["ports"][0]["port"] == 6379


def test_a_service_without_any_port_is_still_called_by_its_name(compose):
    made = objects(converted(compose("services: {a: {image: x}, b: {image: y, depends_on: [a]}}\n")))
    assert made["Service", "a"]["spec"]["clusterIP"] == "None"
    (wait,) = made["Deployment", "b"]["spec"]["template"]["spec"]["initContainers"]
    assert "nslookup a.$NAMESPACE" in wait["command"][2]


@pytest.mark.parametrize(
    ("test", "probe"),
    [
        ("curl -f http://localhost:8000/ready || exit 1", {"path": "/ready", "port": 8000, "scheme": "HTTP"}),
        ("[CMD, wget, -qO-, 'https://127.0.0.1/ok']", {"path": "/ok", "port": 443, "scheme": "HTTPS"}),
        ("curl -f http://other:8000/ready", None),
        ("curl -s http://localhost:8000/ | grep ready", None),
        ("[CMD-SHELL, 'test -f /tmp/ready']", None),
    ],
)
def test_a_health_check_that_asks_itself_becomes_a_request(compose, test, probe):
    made = objects(converted(compose(f"services:\n  a:\n    image: x\n    healthcheck:\n      test: {test}\n")))
    (container,) = made["Deployment", "a"]["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"].get("httpGet") == probe
    assert ("exec" in container["readinessProbe"]) == (probe is None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("services: {a: {image: x, frobnicate: 1}}", "services.a.frobnicate: has no equivalent and was left out"),
        ("services: {a: {image: x, deploy: {resources: {limits: {disk: 1}}}}}", "limits.disk: has no equivalent"),
        ("services: {a: {image: x, healthcheck: {test: ls, start_intervall: 1s}}}", "start_intervall: has no"),
        ("services: {a: {image: x, logging: {driver: json-file}}}", "the cluster's own log collector"),
        ("frobnicate: 1\nservices: {a: {image: x}}", "frobnicate: has no equivalent and was left out"),
        ("services: {a: {image: x, mem_limit: lots}}", "expected a size like `512m` or `2g`, got `lots`"),
        ("services: {a: {image: x, ports: [http]}}", "expected a port like `8000:8000`, got `http`"),
        ("services: {a: {extends: {service: b}}}", "`extends`: there is no service `b`"),
        ("services: {a: {extends: b}, b: {extends: a}}", "goes round in a circle"),
        ("services: {a: {image: x, env_file: nowhere.env}}", "`nowhere.env` is not there"),
        ("services: {a: 5}", "expected a mapping, got 5"),
        ("include: [nowhere.yaml]\nservices: {a: {image: x}}", "`nowhere.yaml` was not included"),
    ],
)
def test_what_cannot_be_converted_is_told_with_its_place(compose, text, told):
    path = compose(text + "\n")
    _, findings = read_compose(path, (), {})
    assert any(told in f"{finding.where}: {finding.message}" for finding in findings), findings
    assert told.split(": ")[-1] in converted(path)["REPORT.md"]


@pytest.mark.parametrize("text", ["", "- a\n", "services: [\n", "version: '3'\n"])
def test_what_is_no_compose_file_is_refused(compose, text):
    with pytest.raises(ConfigError):
        converted(compose(text))


def test_the_verb_writes_reports_and_keeps_edits(tmp_path):
    command = [WINDLASS, "convert", str(HERE / "inputs" / "nginx-gateway" / "compose.yaml"), "-o", "k8s"]

    def run(*more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    done = run()
    assert done.returncode == 0, done.stderr
    assert "k8s/gateway.yaml\n" in done.stdout
    assert "warning: " in done.stderr
    assert run("--strict").returncode == 1
    (tmp_path / "k8s" / "vision.yaml").write_text("# mine\n")
    assert run().returncode == 2
    assert (tmp_path / "k8s" / "vision.yaml").read_text() == "# mine\n"


@pytest.mark.parametrize("name", INPUTS)
def test_every_manifest_is_one_that_clusters_take(name, tool):
    folder = HERE / "expected" / name
    manifests = [path for path in sorted(folder.glob("*.yaml")) if path.name != "kustomization.yaml"]
    for version in ("1.29", "1.31", "1.33"):
        command = [tool("kubernetes-validate"), "--strict", "-k", version, *manifests]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "WARN" not in done.stdout + done.stderr
    done = subprocess.run([tool("kubectl"), "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nkind: ") == sum(path.read_text().count("\nkind: ") for path in manifests)


@pytest.mark.parametrize("name", INPUTS)
def test_a_real_api_takes_them_all(name, cluster):
    folder = HERE / "expected" / name
    namespace = parse((folder / "namespace.yaml").read_text(), name).value["metadata"]["name"]
    cluster.kubectl("create", "namespace", namespace)
    try:
        cluster.kubectl("apply", "--server-side", "--dry-run=server", "--kustomize", folder)
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")
