"""``windlass add`` and ``windlass inspect`` as a user types them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from support.models import make_onnx_add_sub, make_onnx_identity, make_openvino_identity, make_torchscript_identity
from windlass.cli.main import cli
from windlass.errors import RepositoryError, UsageError


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Type a command in a folder of one's own."""
    monkeypatch.chdir(tmp_path)

    def typed(*arguments):
        done = CliRunner().invoke(cli, list(map(str, arguments)))
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return typed


def test_a_file_is_added_and_inspected_by_its_name(run, tmp_path):
    make_onnx_add_sub(tmp_path / "adder.onnx")
    done = run("add", "adder.onnx")
    assert done.exit_code == 0
    assert "models/adder/1: onnxruntime, batches of up to 16" in done.stdout
    assert "input  INPUT0  FP32  [16]" in done.stdout
    assert "hint: `windlass serve models` serves it" in done.stderr

    by_name, by_path = (run("inspect", what).stdout for what in ("adder", "adder.onnx"))
    assert by_name.startswith("adder:1: ONNX")
    assert "served by   onnxruntime, openvino" in by_name
    assert by_name.splitlines()[1:] == by_path.splitlines()[1:]
    assert run("inspect", "models/adder").stdout == by_name


def test_inspect_prints_json(run, tmp_path):
    make_onnx_identity(tmp_path / "net.onnx")
    found = json.loads(run("inspect", "net.onnx", "--json").stdout)
    assert found == {
        "model": "net.onnx",
        "format": "ONNX",
        "inputs": [{"name": "x", "data_type": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "data_type": "FP32", "shape": [-1, 4]}],
        "operators": {"Identity": 1},
        "parameters": 0,
        "size_bytes": (tmp_path / "net.onnx").stat().st_size,
        "precisions": {},
        "engines": ["onnxruntime", "openvino"],
        "notes": [],
    }


def test_a_second_version_waits_until_it_is_applied(run, tmp_path):
    make_onnx_identity(tmp_path / "net.onnx")
    make_openvino_identity(tmp_path / "net.xml")
    run("add", "net.onnx")
    second = json.loads(run("add", "net.xml", "--json").stdout)
    assert (second["version"], second["served"]) == (2, False)
    assert "it is not served yet" in run("add", "net.xml").stderr
    third = json.loads(run("add", "net.xml", "--apply", "--json").stdout)
    assert (third["version"], third["served"]) == (4, True)
    assert json.loads(run("inspect", "net", "--json").stdout)["model"] == "net:4"
    assert json.loads(run("inspect", "net:1", "--json").stdout)["format"] == "ONNX"


def test_a_dry_run_prints_the_configuration_and_keeps_nothing(run, tmp_path):
    make_onnx_identity(tmp_path / "net.onnx")
    done = run("add", "net.onnx", "--dry-run", "--max-batch-size", 4)
    assert done.stdout.startswith('name: "net"\nbackend: "onnxruntime"\nmax_batch_size: 4\n')
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx"]


def test_what_a_file_does_not_tell_is_said_with_an_option(run, tmp_path):
    make_torchscript_identity(tmp_path / "net.pt")
    with pytest.raises(UsageError, match="does not tell the shape of its input `x`"):
        run("add", "net.pt")
    done = run("add", "net.pt", "--input", "x:INT64[-1,-1]", "--name", "echo")
    assert "input  x  INT64  [-1]" in done.stdout


def test_it_runs_with_inputs_of_ones_own(run, tmp_path):
    make_onnx_identity(tmp_path / "net.onnx")
    np.save(tmp_path / "rows.npy", np.ones((5, 4), np.float32))
    done = run("add", "net.onnx", "--data", "rows.npy")
    assert "rows.npy" in done.stdout
    # That equal rows are answered alike is no wonder.
    assert "warning" not in done.stderr


def test_a_python_model_of_a_repository_is_inspected_as_far_as_it_goes(run, repository, tmp_path):
    repository.add_identity("echo")
    found = json.loads(run("inspect", "echo", "--repository", repository.path, "--json").stdout)
    assert found["format"] == "python model"
    assert found["inputs"] == [{"name": "INPUT0", "data_type": "FP32", "shape": [-1, -1]}]


def test_what_is_neither_a_file_nor_a_model_is_told(run, tmp_path):
    with pytest.raises(UsageError, match="`nothing.onnx` is not there"):
        run("inspect", "nothing.onnx")
    with pytest.raises(RepositoryError, match="no model `nothing`"):
        run("inspect", "nothing")


WAITS = """
import signal
from pathlib import Path

def build():
    Path(__file__).with_name("started").write_text("now")
    signal.pause()
"""


@pytest.fixture
def building(tmp_path):
    """Begin to add a model that is being built for ever."""
    (tmp_path / "net.py").write_text(WAITS)
    (tmp_path / "temporary").mkdir()
    os.mkfifo(tmp_path / "started")

    def begin(*options):
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("windlass")), "add", "net.py:build", "--name", "net", *options],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path / "temporary"), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        # Reading ends when somebody has written: by then it builds.
        assert (tmp_path / "started").read_text() == "now"
        return process

    return begin


@pytest.mark.parametrize(
    ("number", "options"), [(signal.SIGINT, []), (signal.SIGTERM, []), (signal.SIGTERM, ["--dry-run"])]
)
def test_an_interruption_leaves_nothing(building, tmp_path, number, options):
    process = building(*options)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.splitlines()[-3:] == [
        "error: interrupted",
        "  found: nothing was written",
        "hint: run the command again",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.py", "started", "temporary"]
    assert not list((tmp_path / "temporary").iterdir())


def test_what_a_killed_process_left_goes_with_the_next_model_and_what_a_living_one_makes_stays(building, run, tmp_path):
    make_onnx_identity(tmp_path / "net.onnx")
    models = tmp_path / "models"
    process = building()
    (left,) = models.iterdir()

    run("add", "net.onnx", "--name", "one")
    assert left.is_dir()
    process.kill()
    process.communicate()
    run("add", "net.onnx", "--name", "two")

    assert sorted(path.name for path in models.iterdir()) == ["one", "two"]
