"""``windlass optimize`` as a user types it, on a small model, with the real engines and the real server.

One run is killed in the middle and continued; what it left is what these tests look at.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from support import models
from windlass import _plane
from windlass.config import parse_text
from windlass.demo import digits
from windlass.repository import scan_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(_plane, "LoadGenerator"), reason="this build has no load generator: `make build`"),
]

WINDLASS = str(Path(sys.executable).with_name("windlass"))


def windlass(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([WINDLASS, *map(str, arguments)], capture_output=True, text=True, timeout=110, check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("optimize")
    images = digits.load()
    digits.build(folder / "models", images, with_torch=False)
    np.savez(folder / "held-out.npz", image=images.held_out_images, labels=images.held_out_labels)
    return folder


@pytest.fixture(scope="module")
def tuned(place):
    """A run that was killed after its first steps, and then run again to its end."""
    words = ["optimize", "digits", "-r", place / "models", "--work", place / "work", "--budget", "40s"]
    words += ["--data", place / "held-out.npz", "--report", place / "report", "--json"]
    with subprocess.Popen([WINDLASS, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        while first.poll() is None and len(trials(place)) < 2:
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
    before = trials(place)
    done = windlass(*words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr, before


def trials(place) -> list[str]:
    file = next((place / "work").glob("*/journal.jsonl"), None)
    return [] if file is None else file.read_text().splitlines()[1:]


def test_a_run_that_was_killed_goes_on_where_it_was(place, tuned):
    _, said, before = tuned
    assert before
    assert "going on after" in said
    assert trials(place)[: len(before)] == before


def test_engines_and_precisions_are_tried_and_their_accuracy_is_known(tuned):
    found, _, _ = tuned
    tried = {entry["name"]: entry for entry in found["variants"]}
    assert tried["onnxruntime as it is"]["accuracy"]["task"] > 0.9
    assert {"openvino fp32", "onnxruntime int8-dynamic"} <= set(tried)
    for entry in tried.values():
        assert entry["reason"] or entry["accuracy"]["task"] >= entry["accuracy"]["task_before"] - 0.005


def test_the_winner_was_served_and_is_compared_with_the_original(tuned):
    found, _, _ = tuned
    served = {entry["name"]: entry for entry in found["served"]}
    assert served[found["winner"]]["throughput"] > 0
    assert found["winner"] in found["verdict"] or not found["changed"]
    if "as configured" in found["verdict"]:
        assert served["onnxruntime as it is, as configured"]["throughput"] > 0


def test_the_winner_lies_beside_the_old_version_and_nothing_served_changes(place, tuned):
    found, _, _ = tuned
    entry = scan_model(place / "models" / "digits")
    assert sorted(entry.versions) == ([1, 2] if found["changed"] else [1])
    if found["changed"]:
        assert list(entry.config.version_policy.specific.versions) == [1]
        assert entry.config_of(2) == parse_text((entry.versions[2] / "config.pbtxt").read_text(), "")
        assert windlass("check", place / "models").returncode == 0


def test_the_report_is_whole_and_needs_no_network(place, tuned):
    found, _, _ = tuned
    page = (place / "report" / "optimize.html").read_text()
    text = (place / "report" / "optimize.md").read_text()
    assert json.loads((place / "report" / "optimize.json").read_text()) == found
    assert not re.search(r"(src|href)=\"http", page)
    for entry in found["variants"]:
        assert entry["name"] in text
        assert entry["name"].replace("+", "&#43;") in page or entry["name"] in page
    assert found["commands"][-1] in text


def test_the_files_of_candidates_are_thrown_away(place, tuned):
    assert {path.suffix for path in (place / "work").glob("*/artefacts/*")} == {".pbtxt"}


def test_the_same_command_again_knows_the_result_at_once(place, tuned):
    words = ["optimize", "digits:1", "-r", place / "models", "--work", place / "work", "--budget", "40s"]
    done = windlass(*words, "--data", place / "held-out.npz", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["winner"] == tuned[0]["winner"]
    assert found["written_version"] == tuned[0]["written_version"]


def test_labels_are_needed_where_accuracy_is_asked_for(place):
    done = windlass("optimize", "digits", "-r", place / "models", "--work", place / "w", "--accuracy-drop", "1%")
    assert done.returncode == 2
    assert "--accuracy-drop needs samples with labels: there is no --data" in done.stderr


def test_a_budget_that_is_too_short_is_refused(place):
    done = windlass("optimize", "digits", "-r", place / "models", "--work", place / "w", "--budget", "1s")
    assert done.returncode == 2
    assert "a budget of 1 s is too short" in done.stderr


def test_data_of_another_shape_is_refused(place):
    np.save(place / "wrong.npy", np.zeros((4, 3, 3), np.float32))
    done = windlass("optimize", "digits", "-r", place / "models", "--work", place / "w", "--data", place / "wrong.npy")
    assert done.returncode == 2
    assert "wrong.npy" in done.stderr
    assert "expected FP32 [samples, 64]" in done.stderr


def test_nothing_is_written_where_nothing_is_within_the_limits(place):
    models.make_onnx_identity(place / "more" / "add" / "1" / "model.onnx")
    done = windlass(
        "optimize", "add", "-r", place / "more", "--work", place / "w", "--budget", "30s", "--memory", "1MiB"
    )
    assert done.returncode == 1, done.stderr
    assert "nothing is within the limits: takes" in done.stdout.lower()
    assert os.listdir(place / "more" / "add") == ["1"]  # noqa: PTH208
