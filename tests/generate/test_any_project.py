"""Whatever project is right can be written for its target, always the same, and reads as what it is to be."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.projects import MODELS, TARGETS, projects
from windlass.config.project import FILE, Source
from windlass.config.yaml_text import parse
from windlass.generate import render
from windlass.release import read_release

TENSORS = 'input { name: "A" data_type: TYPE_INT32 dims: 1 } output { name: "B" data_type: TYPE_INT32 dims: 1 }'
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
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_any_project_is_written(folder, kind, data, monkeypatch):
    monkeypatch.setenv("ONE", SECRET_VALUE)
    (folder / FILE).write_text(json.dumps(data.draw(projects(kind))))
    project, findings = Source.read(folder).project()
    assert project is not None, findings

    release, found = read_release(project, "there", folder, "0.1.0", root="../..", place=".windlass/there")
    files = render.files(release)

    assert [finding for finding in found if finding.severity == "error"] == []
    assert files == render.files(
        read_release(project, "there", folder, "0.1.0", root="../..", place=".windlass/there")[0]
    )
    for path, text in files.items():
        assert SECRET_VALUE not in text
        assert not path.startswith(("/", "..")), path
        assert text.endswith("\n"), path
        # Templates of a chart are no YAML before Helm has filled them.
        if path.endswith((".yaml", ".yml")) and not path.startswith("templates/"):
            for document in text.split("\n---\n"):
                parse(document, path)
        elif path.endswith(".json"):
            json.loads(text)
