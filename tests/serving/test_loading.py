"""Which configuration a model is loaded with, how often it is tried, and what a load request may carry."""

import base64
import json
import urllib.error
import urllib.request

import numpy as np
import pytest

from windlass import Client, ClientError

TENSORS = {
    "input": [{"name": "INPUT0", "data_type": "TYPE_FP32", "dims": [-1]}],
    "output": [{"name": "OUTPUT0", "data_type": "TYPE_FP32", "dims": [-1]}],
}


def post(url: str, path: str, body: object) -> tuple[int, str]:
    request = urllib.request.Request(url + path, json.dumps(body).encode(), method="POST")
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["error"]


def answer(client: Client, model: str = "echo") -> float:
    return float(client.infer(model, {"INPUT0": np.ones((1, 1), np.float32)})["OUTPUT0"][0, 0])


def test_a_configuration_is_chosen_by_name_where_a_model_has_it(repository, serve):
    for name in ("both", "one"):
        folder = repository.add_identity(name)
    configs = repository.path / "both" / "configs"
    configs.mkdir()
    text = (folder / "config.pbtxt").read_text()
    (configs / "small.pbtxt").write_text(text.replace("max_batch_size: 8", "max_batch_size: 2"))

    with Client(serve(config_name="small").url()) as client:
        assert client.config("both")["max_batch_size"] == 2
        assert client.config("one")["max_batch_size"] == 8


def test_without_completing_a_model_is_what_its_configuration_says(repository, serve):
    repository.add_identity("written")
    repository.add("bare", (repository.path / "written" / "1" / "model.py").read_text())

    with Client(serve(complete_config=False).url()) as client:
        assert answer(client, "written") == 1.0
        reasons = {entry["name"]: entry.get("reason", "") for entry in client.models()}
    assert "model 'bare' has no configuration, and completing configurations is disabled" in reasons["bare"]


@pytest.mark.parametrize(("retries", "served"), [(1, False), (2, True)])
def test_a_model_that_fails_is_tried_again(repository, serve, tmp_path, retries, served):
    folder = repository.add_identity("echo")
    source = folder / "1" / "model.py"
    flaky = (
        f"from pathlib import Path\ntries = Path({str(tmp_path / 'tries')!r})\n"
        "count = len(tries.read_text()) if tries.exists() else 0\ntries.write_text('x' * (count + 1))\n"
        "if count < 2:\n    raise RuntimeError('not yet')\n"
    )
    source.write_text(flaky + source.read_text())
    assert bool(serve(load_retries=retries).serving()) is served


def test_files_of_a_request_are_the_model_until_the_next_plain_load(repository, serve):
    folder = repository.add_identity("echo")
    source = (folder / "1" / "model.py").read_text().replace("tensor.as_numpy()", "2 * tensor.as_numpy()")
    config = json.dumps({"backend": "python", "max_batch_size": 4, **TENSORS})
    given = {"config": config, "file:7/model.py": base64.b64encode(source.encode()).decode()}
    server = serve(control_mode="explicit", models=("echo",))
    with Client(server.url()) as client:
        assert post(server.url(), "/v2/repository/models/echo/load", {"parameters": given}) == (200, "")
        assert answer(client) == 2.0
        assert client.metadata("echo")["versions"] == ["7"]

        client.load("echo")

        assert answer(client) == 1.0
        assert client.metadata("echo")["versions"] == ["1"]
        assert client.config("echo")["max_batch_size"] == 8


def test_files_of_a_request_that_fail_leave_what_is_served_and_nothing_behind(repository, serve, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    repository.add_identity("echo")
    server = serve(control_mode="explicit", models=("echo",))
    broken = base64.b64encode(b"raise RuntimeError('broken')").decode()
    good = base64.b64encode((repository.path / "echo" / "1" / "model.py").read_bytes()).decode()
    config = json.dumps({"backend": "python", "max_batch_size": 4, **TENSORS})
    with Client(server.url()) as client:
        load = "/v2/repository/models/echo/load"
        assert post(server.url(), load, {"parameters": {"config": config, "file:1/model.py": good}})[0] == 200
        status, text = post(server.url(), load, {"parameters": {"config": config, "file:1/model.py": broken}})
        assert (status, "broken" in text) == (400, True)
        assert answer(client) == 1.0
        assert len(list(tmp_path.glob("windlass-model-*"))) == 1
        client.unload("echo")
        assert list(tmp_path.glob("windlass-model-*")) == []


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"file:1/model.py": ""}, "Load parameter 'config' must be specified for model file override"),
        ({"config": "{", "file:1/model.py": ""}, "Invalid config override: "),
        ({"config": "{}", "file:../x": ""}, "Invalid file parameter 'file:../x' with normalized path '"),
        (
            {"config": "{}", "file:/etc/x": ""},
            "Invalid file parameter 'file:/etc/x' with normalized path '/etc/x'",
        ),
        ({"config": '{"max_batch_sizes": 1}'}, "Invalid config override: "),
        ({"config": '{"version_policy": {"specific": {"versions": [9]}}}'}, "at least one version must be available"),
    ],
)
def test_what_a_request_cannot_carry_is_told(repository, serve, parameters, text):
    repository.add_identity("echo")
    server = serve(control_mode="explicit", models=("echo",))
    status, found = post(server.url(), "/v2/repository/models/echo/load", {"parameters": parameters})
    assert (status, found[: len(text)]) == (400, text)
    with Client(server.url()) as client:
        assert answer(client) == 1.0


def test_a_failed_model_that_is_unloaded_is_in_nobody_s_way(repository, serve):
    repository.add_identity("echo")
    repository.add("bad", "import nothing_of_that_name")
    with Client(serve(control_mode="explicit", models=("*",)).url()) as client:
        assert not client.ready()
        client.unload("bad")
        assert client.ready()
        with pytest.raises(ClientError, match="nothing_of_that_name"):
            client.load("bad")


def test_servers_may_share_ports(repository, serve):
    repository.add_identity("echo")
    first = serve(reuse_http_port=True, reuse_grpc_port=True)
    ports = {f"{door}_port": int(first.addresses[door].rpartition(":")[2]) for door in ("http", "grpc")}
    second = serve(reuse_http_port=True, reuse_grpc_port=True, **ports)
    assert {door: second.addresses[door] for door in ("http", "grpc")} == {
        door: first.addresses[door] for door in ("http", "grpc")
    }


def test_every_door_has_an_address_of_its_own(repository, serve):
    repository.add_identity("echo")
    server = serve(grpc_address="127.0.0.2", http_address="::1")
    assert server.addresses["grpc"].startswith("127.0.0.2:")
    assert server.addresses["http"].startswith("[::1]:")
    assert server.addresses["metrics"].startswith("127.0.0.1:")
