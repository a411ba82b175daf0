"""What Compose is given for each golden project, held against what was reviewed, its schema, and Compose itself."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from support.golden import CASES, cases, compare
from windlass.config.project import ComposeTarget
from windlass.generate import compose

WRITTEN = sorted(CASES.glob("*/expected/*/compose.yaml"))
# Long lines are command lines and expressions; Compose's files begin without `---`.
STYLE = "{extends: default, rules: {line-length: disable, document-start: disable}}"
SECRETS = {"VOCABULARY_TOKEN": "-", "BUCKET_CREDENTIALS": "-", "HF_TOKEN": "-"}


def name(file: Path) -> str:
    return f"{file.parts[-4]}-{file.parts[-2]}"


def run(*words: object, **environment: str) -> str:
    env = {**os.environ, **SECRETS, **environment}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_files_are_those_that_were_reviewed(case, tmp_path, update_golden):
    for target in case.targets:
        (tmp_path / target).mkdir()
        release = case.release(tmp_path / target, target)
        if isinstance(release.target, ComposeTarget):
            compare(compose.files(release), case.folder / "expected" / target, update_golden)


@pytest.mark.parametrize("file", WRITTEN, ids=name)
def test_the_file_keeps_to_the_specification_of_compose(file, tool):
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", file)


@pytest.mark.parametrize("file", WRITTEN, ids=name)
def test_every_yaml_file_is_well_laid_out(file, tool):
    files = [path for path in file.parent.rglob("*.y*ml") if "grafana" not in path.parts or path.suffix == ".yaml"]

    run(tool("yamllint"), "--strict", "-d", STYLE, *files)


@pytest.mark.parametrize("file", WRITTEN, ids=name)
def test_compose_reads_the_file_as_it_is_meant(file, engine):
    told = engine.docker("compose", "--file", file, "config", "--services").split()

    assert "gateway" in told


@pytest.mark.parametrize("file", WRITTEN, ids=name)
def test_nothing_is_open_to_the_network_but_the_gateway(file):
    services = yaml.safe_load(file.read_text())["services"]
    open_to_all = {
        name
        for name, service in services.items()
        for port in service.get("ports", ())
        if not port.startswith("127.0.0.1:")
    }

    assert open_to_all <= {"gateway"}


def test_no_secret_stands_in_what_is_generated(tool):
    # The project files themselves only name secrets, which checkov takes for some.
    skipped = ("--skip-path=/windlass.yaml$", "--skip-path=/files/")
    words = ("--framework=secrets", "--skip-download", "--output=json", "--soft-fail", *skipped)
    report = json.loads(run(tool("checkov"), *words, "--directory", CASES))

    found = [
        one
        for one in report["results"]["failed_checks"]
        # It takes the name of a store's class for a secret too.
        if "secretProviderClass: "
        not in Path(one["file_abs_path"]).read_text().splitlines()[one["file_line_range"][0] - 1]
    ]
    assert found == []
