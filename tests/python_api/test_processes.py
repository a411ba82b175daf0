"""Processes of models: what one does is no concern of another, and what becomes of those that end."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

import windlass
from windlass import Client

MODELS = Path(__file__).parent / "models"
CALM, BUSY = np.array([0], np.float32), np.array([1], np.float32)


@pytest.fixture
def started(repository, serve):
    """Serve some of the models, each instance in a process of its own."""

    def start(*names: str, count: int = 1) -> windlass.Server:
        for name in names:
            shutil.copytree(MODELS / name, repository.path / name, ignore=shutil.ignore_patterns("__pycache__"))
            config = repository.path / name / "config.pbtxt"
            text = config.read_text() if config.exists() else ""
            group = f"instance_group {{ kind: KIND_CPU count: {count} }}"
            config.write_text(f'backend: "python"\n{group}\n{text}')
        return serve()

    return start


def workers() -> list[int]:
    """Return the processes of the models that this process serves."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"windlass.serving.worker" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def until_exists(path: Path) -> None:
    patience = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < patience, f"no {path}"
        time.sleep(0.01)


def test_neither_models_nor_instances_wait_for_one_interpreter(started, repository):
    url = started("busy", "codes", count=2).url()
    folder = repository.path / "busy" / "1"
    answers: list[str] = []

    def ask(x: np.ndarray) -> None:
        with Client(url) as client:
            answers.append(client.infer("busy", {"x": x})["name"][0].decode())

    computing = threading.Thread(target=ask, args=(BUSY,))
    computing.start()
    until_exists(folder / "began")

    # One instance holds its interpreter until it is told that this was answered.
    ask(CALM)
    with Client(url) as client:
        client.infer("codes", {"code": np.array([b"fine"], object)})
    (folder / "enough").touch()
    computing.join()

    assert sorted(answers) == ["busy_0_0", "busy_0_1"]


def test_models_may_have_processes_and_threads_of_their_own(started, caplog):
    caplog.set_level("INFO", "windlass")
    serving = started("pool")

    with Client(serving.url()) as client:
        answer = client.infer("pool", {"x": np.array([1, 2, 3], np.float32)})
    serving.stop()

    assert answer["y"].tolist() == [1, 256, 6561]
    assert "pool: all ended" in caplog.text


def test_a_stream_whose_process_is_killed_ends_with_an_error_and_the_next_is_whole(started):
    url = started("repeat").url()
    given = {"IN": [1] * 1000, "DELAY": [10] * 1000}

    with httpx.stream("POST", f"{url}/v2/models/repeat/generate_stream", json=given, timeout=20) as response:
        lines = response.iter_lines()
        assert '"OUT":1' in next(lines)
        (process,) = workers()
        os.kill(process, signal.SIGKILL)
        rest = [line for line in lines if line]

    assert "Stub process is not healthy." in rest[-1]
    short = {"IN": [1, 2], "DELAY": [0, 0]}
    with httpx.stream("POST", f"{url}/v2/models/repeat/generate_stream", json=short, timeout=20) as response:
        assert sum('"OUT"' in line for line in response.iter_lines()) == 2
