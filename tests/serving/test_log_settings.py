"""The log, set while the server runs, with Triton's own clients."""

import logging
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client

START = {
    "log_file": "",
    "log_info": True,
    "log_warning": True,
    "log_error": True,
    "log_verbose_level": 0,
    "log_format": "default",
}


def settings(answer: dict[str, object]) -> dict[str, object]:
    """What a client says is set, over either protocol."""
    if "settings" not in answer:
        return answer
    told = answer["settings"].items()  # type: ignore[attr-defined]
    return {name: next(iter(value.values()), 0) for name, value in told}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_log_is_read_and_changed(repository, serve, protocol, caplog):
    server = serve()
    if protocol == "http":
        client = http_client.InferenceServerClient(server.url().removeprefix("http://"))
        read, change = client.get_log_settings, client.update_log_settings
    else:
        client = grpc_client.InferenceServerClient(server.url("grpc"))
        read, change = (
            lambda: client.get_log_settings(as_json=True),
            lambda wanted: client.update_log_settings(wanted, as_json=True),
        )
    with client:
        assert settings(read()) == START
        change({"log_info": False, "log_verbose_level": 1, "log_format": "ISO8601"})
        changed = settings(read())
        assert changed == {**START, "log_info": False, "log_verbose_level": 1, "log_format": "ISO8601"}
    log = logging.getLogger("windlass")
    caplog.clear()
    log.info("not written")
    log.warning("written")
    assert "not written" not in caplog.text
    assert "written" in caplog.text
    server.stop()
    log.warning("written again")
    assert log.level != logging.DEBUG


def test_a_server_that_stops_leaves_the_level_that_the_program_has_set(repository, serve):
    log = logging.getLogger("windlass")
    before = log.level
    try:
        log.setLevel(logging.WARNING)
        server = serve()
        log.setLevel(logging.INFO)
        server.stop()
        assert log.level == logging.INFO
    finally:
        log.setLevel(before)


def found(file: Path, pattern: str) -> str:
    """Wait until a file holds a match; return it, or its first group."""
    patience = time.monotonic() + 20
    while not (match := re.search(pattern, file.read_text() if file.exists() else "")):
        assert time.monotonic() < patience, file.read_text()
        time.sleep(0.01)
    return match[match.lastindex or 0]


def test_a_file_holds_the_log(repository, tmp_path):
    file = tmp_path / "log"
    repository.add_identity("echo")
    program = str(Path(sys.executable).with_name("windlass"))
    ports = ["--http-port=0", "--grpc-port=0", "--metrics-port=0"]
    command = [program, "serve", str(repository.path), f"--log-file={file}", "--log-verbose=1", *ports]
    with subprocess.Popen([*command, "--log-format=ISO8601"], stderr=subprocess.PIPE, text=True) as process:
        try:
            address = found(file, r"http (http://[\d.:]+)")
            httpx.get(f"{address}/v2/health/live").raise_for_status()
            found(file, r"T\S+Z DEBUG HTTP Get /v2/health/live -> 200")
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=20)
    assert errors == ""
