"""The Dockerfiles of every golden project."""

import json
import subprocess

import pytest

from support.golden import cases, compare
from windlass.generate import images


def generated(case, folder):
    containers = [target for target in case.targets if target != "local"]
    return images.files(case.release(folder, containers[0]))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_dockerfiles_are_those_that_were_reviewed(case, tmp_path, update_golden):
    files = generated(case, tmp_path)
    compare(
        {path.removeprefix("images/"): text for path, text in files.items()},
        case.folder / "expected" / "images",
        update_golden,
    )


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_hadolint_finds_nothing_in_them(case, tool, tmp_path):
    for path, text in generated(case, tmp_path).items():
        if path.endswith("Dockerfile"):
            done = subprocess.run([tool("hadolint"), "-"], input=text, text=True, capture_output=True, check=False)
            assert done.returncode == 0, f"{path}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_checkov_finds_nothing_in_them(case, tool):
    folder = case.folder / "expected" / "images"
    if not folder.exists():
        pytest.skip("no image is built")
    command = [tool("checkov"), "--framework", "dockerfile", "--skip-download", "--quiet", "--compact", "-d", folder]
    done = subprocess.run([*command, "--output", "json"], text=True, capture_output=True, check=False)
    told = json.loads(done.stdout)
    assert told["summary"]["passed"] > 0
    assert told["summary"]["failed"] == 0, told["results"]["failed_checks"]
