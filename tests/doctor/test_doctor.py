"""``windlass doctor`` as a user types it, on this machine, whatever it is; and its guide."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path

import pytest

import windlass
from windlass.doctor import CHECKS, Machine, examine
from windlass.doctor.checks import clock
from windlass.doctor.examination import diagnose

ROOT = Path(__file__).parents[2]
FRAMEWORKS = ("torch", "onnxruntime", "openvino")


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> dict[str, str]:
    """An environment with every package but frameworks."""
    folder = tmp_path_factory.mktemp("packages")
    for path in map(Path, sys.path):
        if path.name in {"site-packages", "dist-packages"} and path.is_dir():
            for package in path.iterdir():
                link = folder / package.name
                if not package.name.startswith(FRAMEWORKS) and not link.exists():
                    link.symlink_to(package)
    own = str(Path(windlass.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([own, str(folder)]), "PYTHONNOUSERSITE": "1"}


@pytest.fixture
def doctor(bare):
    """Run the command, by default where there is no framework."""

    def run(*arguments: object, env=bare, options=("-S",)) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *options, "-m", "windlass", "doctor", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)

    return run


def test_every_check_tells_something_and_every_fault_its_remedy(doctor, repository):
    repository.add_identity("echo")
    done = doctor("--json", repository.path, env=None, options=())
    found = json.loads(done.stdout)
    assert {one["check"] for one in found} == set(CHECKS)
    assert all(one["remedy"] for one in found if one["severity"] == "error")
    assert done.returncode == (1 if any(one["severity"] == "error" for one in found) else 0)


def test_a_machine_without_frameworks_is_examined_too(doctor):
    done = doctor("--json")
    assert done.returncode in {0, 1}, done.stderr
    whats = {one["what"] for one in json.loads(done.stdout)}
    assert {"PyTorch is not installed", "ONNX Runtime is not installed"} <= whats


def test_the_table_shows_what_is_fine_and_under_it_what_to_type(doctor, repository):
    repository.add("greedy", "", 'backend: "pytorch" parameters { key: "NUM_THREADS" value { string_value: "4096" } }')
    done = doctor(repository.path)
    assert done.returncode == 1
    assert all(re.search(rf"^ *\w+ +{name} ", done.stdout, re.MULTILINE) for name in CHECKS)
    assert re.search(r"^ *ok +processor +fp32", done.stdout, re.MULTILINE)
    fault = "error: threads: `greedy` asks for more threads than there are cores\n  take `NUM_THREADS` out of its"
    assert fault in done.stdout


def test_what_cannot_be_examined_is_told(doctor, tmp_path):
    done = doctor(tmp_path / "nothing")
    assert done.returncode == 2
    assert "is no model repository" in done.stderr


def test_a_port_that_this_process_has_is_found():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        (found,) = diagnose("ports", Machine(ports=(port,)))
    assert found.what == f"port {port} is taken"
    assert f"(process {os.getpid()})" in found.found


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_nobody_may_ask_too():
    code = """
import json, os, sys
from importlib import import_module
from windlass.doctor import CHECKS, Machine, examine
for name in CHECKS:
    import_module(f"windlass.doctor.checks.{name}")
os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.stdout.write(json.dumps([one.as_dict() for one in examine(Machine())]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert {one["check"] for one in json.loads(done.stdout)} == set(CHECKS)


def test_a_check_that_does_not_come_back_is_a_finding(monkeypatch):
    never = threading.Event()
    monkeypatch.setattr(clock, "gather", lambda machine: never.wait())
    try:
        found = [one for one in examine(Machine(), deadline_s=4.0) if one.check == "clock"]
    finally:
        never.set()
    assert [one.severity for one in found] == ["error"]
    assert found[0].what == "what it asks does not answer"


def test_the_guide_lists_every_check_in_its_words():
    guide = (ROOT / "docs" / "guides" / "doctor.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|$", guide, re.MULTILINE)
    assert rows == [(name, import_module(f"windlass.doctor.checks.{name}").LOOKS_AT) for name in CHECKS]


def test_there_is_a_check_in_every_file():
    files = {path.stem for path in (ROOT / "src" / "windlass" / "doctor" / "checks").glob("*.py")} - {"__init__"}
    assert files == set(CHECKS)
    assert all(name == import_module(f"windlass.doctor.checks.{name}").NAME for name in files)
