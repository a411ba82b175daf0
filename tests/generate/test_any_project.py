"""Whatever project is right can be written for its target, always the same, and reads as what it is to be."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from support.layouts import FOREIGN, in_layout, write
from support.projects import MODELS, TARGETS, projects
from tools import pypi
from tools.place import environment
from windlass.config.project import FILE, Source
from windlass.config.yaml_text import parse
from windlass.generate import compose, kubernetes, render
from windlass.release import Release, read_release

TENSORS = 'input { name: "A" data_type: TYPE_INT32 dims: 1 } output { name: "B" data_type: TYPE_INT32 dims: 1 }'
Tool = Callable[[str], Path]
SECRET_VALUE = "a-secret-that-nobody-may-read"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("project")
    for name in MODELS:
        (made / "models" / name / "1").mkdir(parents=True)
        (made / "models" / name / "config.pbtxt").write_text(f'backend: "python" {TENSORS}')
        (made / "models" / name / "1" / "model.py").write_text("class TritonPythonModel: ...\n")
    (made / "secrets").mkdir()
    (made / "secrets" / "one").write_text(SECRET_VALUE)
    (made / "keys.pub").write_text("ssh-ed25519 AAAA somebody\n")
    return made


@pytest.mark.parametrize("kind", TARGETS)
def test_any_project_is_written(folder, kind, tmp_path, tool, monkeypatch):
    monkeypatch.setenv("ONE", SECRET_VALUE)
    written: list[Release] = []

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(project=projects(kind))
    def any_project_is_written(project):
        written.append(release_of(folder, project))
        files = render.files(written[-1])
        assert files == render.files(release_of(folder, project))
        for path, text in files.items():
            reads_well(path, text)

    any_project_is_written()
    VALID[kind](written, tmp_path, tool)


def release_of(folder: Path, members: dict[str, object]) -> Release:
    (folder / FILE).write_text(json.dumps(members))
    project, findings = Source.read(folder).project()
    assert project is not None, findings
    release, found = read_release(project, "there", folder, "0.1.0", root="../..", place=".windlass/there")
    assert [finding for finding in found if finding.severity == "error"] == []
    return release


def reads_well(path: str, text: str) -> None:
    assert SECRET_VALUE not in text
    assert not path.startswith(("/", "..")), path
    assert text.endswith("\n"), path
    # Templates of a chart are no YAML before Helm has filled them.
    if path.endswith((".yaml", ".yml")) and not path.startswith("templates/"):
        for document in text.split("\n---\n"):
            parse(document, path)
    elif path.endswith(".json"):
        json.loads(text)


def keep_to_compose(releases: list[Release], folder: Path, tool: Tool) -> None:
    """Hold all files at once against the schema of Compose: a validator takes longer to start than to validate."""
    for number, release in enumerate(releases):
        (folder / f"{number}.yaml").write_text(compose.files(release)[compose.FILE])
    ran(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", *folder.glob("*.yaml"))


def keep_to_kubernetes(releases: list[Release], folder: Path, tool: Tool) -> None:
    """Hold all objects at once against the schemas of Kubernetes; overlays and charts are made of the same ones."""
    for number, release in enumerate(releases):
        write(kubernetes.files(in_layout(release, "plain")), folder / str(number))
    schemas = f"-schema-location={pypi.kubernetes_schemas()}"
    words = ("-strict", "-kubernetes-version=1.33.0", schemas, f"-skip={','.join(FOREIGN)}")
    ran(tool("kubeconform"), *words, folder)


def ran(*words: object) -> None:
    done = subprocess.run(list(map(str, words)), env=environment(), text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


VALID: dict[str, Callable[[list[Release], Path, Tool], None]] = {
    # Of processes of this machine there is nothing but what `windlass serve` is told, which its own tests read.
    "local": lambda releases, folder, tool: None,
    "compose": keep_to_compose,
    "kubernetes": keep_to_kubernetes,
}
