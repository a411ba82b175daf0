"""The verbs that read and write project files, as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

WINDLASS = str(Path(sys.executable).with_name("windlass"))


@pytest.fixture
def windlass(tmp_path):
    def run(*words: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [WINDLASS, *map(str, words)], cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False
        )

    return run


def test_init_writes_what_it_finds_out(windlass, repository, tmp_path):
    repository.add_identity("echo")
    repository.add_identity("seeing", extra="instance_group { kind: KIND_GPU gpus: [0, 1] }")

    done = windlass("init", "--name", "Help Desk!")

    assert done.returncode == 0, done.stderr
    assert done.stdout == "windlass.yaml: 2 models of `models`\n"
    text = (tmp_path / "windlass.yaml").read_text()
    assert "name: help-desk\n" in text
    assert "# Models found: echo (python), seeing (python)." in text
    checked = windlass("check", "--no-load", "--json")
    assert json.loads(checked.stdout) == {"models": ["echo", "seeing"], "findings": []}
    assert "gpus: {count: 2}" in text


def test_init_writes_over_nothing(windlass, tmp_path):
    (tmp_path / "windlass.yaml").write_text("name: mine\n")
    done = windlass("init")
    assert done.returncode == 2
    assert "error: `windlass.yaml` is there already" in done.stderr
    assert (tmp_path / "windlass.yaml").read_text() == "name: mine\n"


def test_check_tells_faults_of_project_and_models_on_every_target(windlass, repository, tmp_path):
    repository.add("broken", "import nothing_of_that_name\n")
    services = "{one: {models: [brokn]}, two: {runtime: triton}}"
    targets = "{here: {kind: local}, there: {kind: compose}}"
    (tmp_path / "windlass.yaml").write_text(f"name: a\nservices: {services}\ntargets: {targets}\n")

    done = windlass("check")

    assert done.returncode == 1
    assert "services.two.runtime: runtime `triton` is an image, and target `here` runs no containers" in done.stdout
    assert "services.one.models: `brokn` matches no model of the repository" in done.stdout
    assert "No module named 'nothing_of_that_name'" in done.stdout
    assert "1 model, " in done.stdout


def test_render_writes_the_same_twice_and_never_over_edits(windlass, repository, tmp_path):
    repository.add_identity("echo")
    windlass("init", "--name", "a")

    first = windlass("render", "local", "-o", "deploy")

    assert first.stdout == "deploy/processes.yaml\n"
    assert windlass("render", "local", "-o", "deploy").returncode == 0
    assert "- ../models\n" in (tmp_path / "deploy" / "processes.yaml").read_text()
    (tmp_path / "deploy" / "processes.yaml").write_text("# mine\n")
    edited = windlass("render", "local", "-o", "deploy")
    assert edited.returncode == 2
    assert "found: processes.yaml" in edited.stderr
    assert (tmp_path / "deploy" / "processes.yaml").read_text() == "# mine\n"
    assert windlass("render", "local", "-o", "deploy", "--force").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deploy", "models", "windlass.yaml"]


def test_the_schema_is_one_for_editors(windlass):
    schema = json.loads(windlass("schema").stdout)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["gateway"]["description"] == "One door for all services."


@pytest.mark.parametrize("verb", ["up", "down", "status", "logs", "restart", "render"])
def test_verbs_without_a_project_say_how_to_make_one(windlass, verb):
    done = windlass(verb)
    assert done.returncode == 2
    assert "error: `windlass.yaml` cannot be read" in done.stderr
    assert "hint: write one with `windlass init`" in done.stderr


def test_scale_says_what_it_cannot_read(windlass, tmp_path):
    (tmp_path / "windlass.yaml").write_text("name: a\n")
    assert "found: models" in windlass("scale", "nothing=2").stderr
    assert "`models=many` names no number of replicas" in windlass("scale", "models=many").stderr
