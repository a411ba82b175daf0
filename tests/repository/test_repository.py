"""What is on disk, and which of it is served."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.config import ModelConfig, parse_text
from windlass.errors import RepositoryError
from windlass.repository import scan, select


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", (9,)),
        ("latest { num_versions: 2 }", (3, 9)),
        ("all {}", (1, 3, 9)),
        ("specific { versions: [ 1, 7 ] }", (1,)),
    ],
)
def test_the_policy_tells_which_versions_are_served(policy, expected):
    config = parse_text(f"version_policy {{ {policy} }}", "p") if policy else ModelConfig()
    assert select(config, [3, 9, 1]) == expected


@given(st.sets(st.integers(0, 2**40)), st.integers(1, 5))
def test_latest_are_the_highest(versions, count):
    config = ModelConfig()
    config.version_policy.latest.num_versions = count
    assert select(config, versions) == tuple(sorted(versions)[-count:])


def test_a_folder_with_nothing_but_a_file_is_a_model(tmp_path):
    for backend, file in {
        "onnxruntime": "model.onnx",
        "openvino": "model.xml",
        "pytorch": "model.pt",
        "python": "model.py",
    }.items():
        touch(tmp_path / backend / "1" / file)
    models = scan([tmp_path]).models
    assert {name: entry.config.backend for name, entry in models.items()} == {name: name for name in models}
    assert len(models) == 4


def test_only_folders_that_are_numbers_are_versions(tmp_path):
    for name in ("1", "12", "3-candidate", "02", "configs", "x"):
        touch(tmp_path / "m" / name / "model.onnx")
    entry = scan([tmp_path]).models["m"]
    assert sorted(entry.versions) == [1, 3, 12]
    assert [finding.severity for finding in entry.findings] == ["warning"]


def test_a_fault_is_a_finding_on_its_model_and_stops_no_other(tmp_path):
    touch(tmp_path / "good" / "1" / "model.onnx")
    touch(tmp_path / "unreadable" / "1" / "model.onnx")
    (tmp_path / "unreadable" / "config.pbtxt").write_text("nonsense: 1")
    touch(tmp_path / "renamed" / "1" / "model.onnx")
    (tmp_path / "renamed" / "config.pbtxt").write_text('name: "other"')
    touch(tmp_path / "unknown" / "1" / "weights.bin")
    (tmp_path / "empty").mkdir()

    models = scan([tmp_path]).models

    assert not models["good"].findings
    assert "`nonsense` is no field of ModelConfig" in models["unreadable"].errors[0].message
    assert models["unreadable"].errors[0].where.endswith("config.pbtxt:1")
    assert "unexpected directory name 'renamed' for model 'other'" in models["renamed"].errors[0].message
    assert "Could not determine backend" in models["unknown"].errors[0].message
    assert "no version directory" in models["empty"].errors[0].message


def test_a_model_in_two_repositories_is_in_neither(tmp_path):
    for repository in ("a", "b"):
        touch(tmp_path / repository / "m" / "1" / "model.onnx")
    entry = scan([tmp_path / "a", tmp_path / "b"]).models["m"]
    assert entry.errors[0].message == "model appears in two or more repositories"


def test_a_repository_that_is_none_is_told(tmp_path):
    with pytest.raises(RepositoryError, match="is no model repository"):
        scan([tmp_path / "nothing"])
