"""What Docker tells of a container, in the words of all targets."""

import pytest

from windlass.targets.docker.complaints import explain
from windlass.targets.docker.containers import finished, replica


def told(status: str, *, policy: str = "unless-stopped", restarts: int = 0, memory: int = 0, **state: object) -> dict:
    """What `docker inspect` tells of a container in a state."""
    return {
        "Name": "/shop-vision-1",
        "Config": {"Image": "shop-vision:1", "Labels": {"com.docker.compose.service": "vision"}},
        "HostConfig": {"RestartPolicy": {"Name": policy}, "Memory": memory},
        "State": {"Status": status, "StartedAt": "2026-03-01T10:00:00.123Z", **state},
        "RestartCount": restarts,
        "NetworkSettings": {"Ports": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8010"}], "8002/tcp": None}},
    }


def test_a_healthy_container_is_a_ready_replica():
    found = replica(told("running", Health={"Status": "healthy"}, ExitCode=0))

    assert (found.service, found.name, found.state, found.reason) == ("vision", "shop-vision-1", "ready", "")
    assert (found.address, found.started) == ("127.0.0.1:8010", "2026-03-01T10:00:00Z")


@pytest.mark.parametrize(
    "container, said, state, reason",
    [
        (told("running", Health={"Status": "starting"}), [], "starting", ""),
        (
            told("running", Health={"Status": "unhealthy", "Log": [{"Output": "curl: (7)\nrefused\n"}]}),
            [],
            "unready",
            "its health check fails: refused",
        ),
        (
            told("running", Health={"Status": "unhealthy", "Log": []}),
            [
                '{"level": "INFO", "message": "ready"}',
                '{"level": "ERROR", "message": "failed: no weights"}',
            ],
            "unready",
            "failed: no weights",
        ),
        (
            told("restarting", ExitCode=137, OOMKilled=True, memory=2**30),
            [],
            "restarting",
            "out of memory (exit code 137), its limit is 1024 MiB: raise `memory` of the service",
        ),
        (
            told("running", Health={"Status": "starting"}, OOMKilled=True, restarts=1),
            [],
            "starting",
            "out of memory (exit code 137): raise `memory` of the service",
        ),
        (
            told("restarting", ExitCode=2, restarts=3),
            ["error: `models` is no model repository"],
            "failed",
            "ended with exit code 2: error: `models` is no model repository",
        ),
        (
            told("exited", ExitCode=137, memory=2**29),
            ["bye"],
            "failed",
            "was killed with exit code 137 (out of memory, or by somebody), its limit is 512 MiB: bye",
        ),
        (told("exited", ExitCode=143), [], "stopped", "was ended with exit code 143"),
        (told("created"), [], "stopped", "waits for what it depends on"),
        (
            told("created", Error="driver failed: Bind for 127.0.0.1:443 failed: port is already allocated"),
            [],
            "failed",
            "port 443 is in use by another program "
            "(`ss -ltnp` shows which; end it, or say another port in windlass.yaml)",
        ),
    ],
)
def test_what_keeps_a_container_is_told_in_one_sentence(container, said, state, reason):
    found = replica(container, said)

    assert (found.state, found.reason) == (state, reason)


def test_what_ended_well_and_is_not_to_run_on_is_done():
    assert finished(told("exited", policy="on-failure", ExitCode=0))
    assert not finished(told("exited", policy="unless-stopped", ExitCode=0))
    assert not finished(told("exited", policy="on-failure", ExitCode=1))


@pytest.mark.parametrize(
    "said, message",
    [
        ("Cannot connect to the Docker daemon at unix:///run/docker.sock. Is it running?", "no Docker engine answers"),
        ('Failed to initialize: context "lab": context not found: open /x', "Docker knows no context `lab`"),
        ("Error response from daemon: pull access denied for shop, repository does not exist", "the image `shop`"),
        ('could not select device driver "nvidia" with capabilities: [[gpu]]', "this engine offers no GPUs"),
        ("unknown or invalid runtime name: runsc", "the engine has no container runtime `runsc`"),
        ('external volume "works" not found', "there is no volume `works`"),
        ("write /x: no space left on device", "the engine's disk is full"),
        ("docker: unknown command: docker compose", "Docker has no `compose` here"),
        ("docker: unknown command: docker buildx", "Docker has no `buildx` here"),
    ],
)
def test_what_docker_complains_of_is_understood(said, message):
    found = explain(said)

    assert found is not None and found.message.startswith(message)
