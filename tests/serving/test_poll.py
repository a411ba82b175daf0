"""A server that follows its repository."""

import shutil
import threading
import time

import numpy as np
import pytest

from windlass import Client, ClientError

INTERVAL_S = 0.05


@pytest.fixture
def client(repository, serve):
    repository.add_identity("echo")
    with Client(serve(control_mode="poll", poll_s=INTERVAL_S).url()) as client:
        yield client


def answer(client: Client, model: str = "echo") -> float:
    return float(client.infer(model, {"INPUT0": np.ones((1, 1), np.float32)})["OUTPUT0"][0, 0])


def until(holds):
    """Wait for what a later look at the repository brings about."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(INTERVAL_S)


def times(repository, factor: int, version: int) -> None:
    folder = repository.path / "echo"
    source = (folder / "1" / "model.py").read_text().replace("tensor.as_numpy()", f"{factor} * tensor.as_numpy()")
    new = repository.path.parent / "new"
    new.mkdir()
    (new / "model.py").write_text(source)
    new.rename(folder / str(version))


def test_models_come_and_go(repository, client):
    new = repository.add_identity("new")
    until(lambda: client.ready("new"))
    assert answer(client, "new") == 1.0

    shutil.rmtree(new)

    until(lambda: "new" not in {entry["name"] for entry in client.models()})
    assert client.ready()


def test_a_new_version_takes_over_and_no_request_fails(repository, client):
    seen, over = [], threading.Event()

    def ask() -> None:
        while not over.is_set():
            seen.append(answer(client))

    asking = threading.Thread(target=ask)
    asking.start()
    times(repository, 2, 2)
    until(lambda: client.metadata("echo")["versions"] == ["2"])
    model = repository.path / "echo" / "2" / "model.py"
    model.write_text(model.read_text().replace("2 *", "31 *"))
    until(lambda: answer(client) == 31.0)
    over.set()
    asking.join()

    assert set(seen) <= {1.0, 2.0, 31.0}
    assert seen == sorted(seen)


def test_a_version_that_fails_leaves_the_old_one_and_is_forgotten_when_it_goes(repository, client):
    folder = repository.path / "echo" / "2"
    folder.mkdir()
    (folder / "model.py").write_text("raise RuntimeError('no weights today')")
    until(lambda: any("no weights today" in entry.get("reason", "") for entry in client.models()))
    assert answer(client) == 1.0
    assert not client.ready()

    shutil.rmtree(folder)

    until(client.ready)
    assert answer(client) == 1.0


def test_a_version_that_did_not_change_is_not_loaded_again(repository, serve):
    repository.add_identity("echo", extra="version_policy { all {} }")
    marker = repository.path.parent / "loads"
    source = repository.path / "echo" / "1" / "model.py"
    source.write_text(f"with open({str(marker)!r}, 'a') as file:\n    file.write('1')\n" + source.read_text())
    with Client(serve(control_mode="poll", poll_s=INTERVAL_S).url()) as client:
        times(repository, 1, 2)
        until(lambda: client.metadata("echo")["versions"] == ["1", "2"])
    # Once for version 1, and once for the copy that is version 2.
    assert len(marker.read_text()) == 2


def test_the_network_loads_nothing(client):
    with pytest.raises(ClientError, match="not allowed if polling is enabled") as refusal:
        client.load("echo")
    assert refusal.value.status == 503


def test_a_repository_that_cannot_be_read_for_a_while_changes_nothing(repository, client, caplog):
    away = repository.path.with_name("away")
    repository.path.rename(away)
    until(lambda: "the model repository cannot be read" in caplog.text)
    assert answer(client) == 1.0
    away.rename(repository.path)
    repository.add_identity("new")
    until(lambda: client.ready("new"))
    assert answer(client) == 1.0
