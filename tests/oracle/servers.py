"""The two servers: how they are started and asked, and what of their answers is compared."""

import http.client
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2_grpc

from oracle.cases import Rest, Rpc

ROOT = Path(__file__).parent.parent.parent

sys.path.insert(0, str(ROOT))

from benchmarks import peers  # noqa: E402 - beside src, not in it

needs_triton = [
    pytest.mark.oracle,
    pytest.mark.skipif(
        not (ROOT / ".peers" / "triton" / ".ready").exists(), reason="`make oracle` installs the real Triton"
    ),
]

OPTIONS = ["--model-control-mode=explicit", "--load-model=*"]

# What the two are told in different ways to do the same.
OWN_OPTIONS = {"windlass": ["--allow-client-shm=true"], "triton": []}


@dataclass(frozen=True)
class Served:
    """A server while it serves: its REST port, its gRPC, and what it has written so far."""

    port: int
    channel: grpc.Channel
    log: Path


@contextmanager
def served(which: str, folder: Path, write: Callable[[Path], None], *options: str) -> Iterator[Served]:
    """Start one of the servers over what ``write`` puts into the folder."""
    write(folder)
    command = peers.triton_command if which == "triton" else peers.windlass_command
    port = peers.free_ports(3)
    line, extra = command(folder, port, port + 1, port + 2, *OPTIONS, *OWN_OPTIONS[which], *options)
    log = folder.with_suffix(".log")
    with log.open("w") as sink:
        process = subprocess.Popen(line, env={**os.environ, **extra}, stdout=sink, stderr=sink, start_new_session=True)
    try:
        peers.wait(which, process, f"http://127.0.0.1:{port}/v2/health/ready", log)
        with grpc.insecure_channel(f"127.0.0.1:{port + 1}") as channel:
            yield Served(port, channel, log)
    finally:
        peers.end(process)


def ask_rest(port: int, case: Rest) -> tuple[int, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(case.method, case.path, case.body, case.headers)
        response = connection.getresponse()
        body = response.read()
    length = response.headers.get("Inference-Header-Content-Length")
    if length:
        return response.status, (normal(body[: int(length)]), body[int(length) :].hex())
    return response.status, normal(body)


def normal(body: bytes) -> Any:
    try:
        return comparable(json.loads(body))
    except ValueError:
        return body.decode(errors="replace")


def comparable(value: Any) -> Any:
    """What differs by nature is taken out: the server's own name, times, and the order of the index."""
    if isinstance(value, dict):
        return comparable_object(value)
    if isinstance(value, list):
        members = [comparable(member) for member in value]
        index = members and isinstance(members[0], dict) and "state" in str(members)
        return sorted(members, key=lambda m: m["name"]) if index else members
    if isinstance(value, str):
        return re.sub(r"/\S*/(raises|tried|add)/", r"\1/", value)
    if isinstance(value, float):
        return "nan" if math.isnan(value) else float(f"{value:.6g}")
    return value


def comparable_object(value: dict[str, Any]) -> Any:
    if "extensions" in value:
        return "server metadata"
    if "version_policy" in value:
        # A configuration: what it says counts, not in which order.
        return json.loads(json.dumps(value, sort_keys=True))
    if value.keys() == {"count", "ns"}:
        return value["count"]
    if value.get("state") in ("UNLOADING", "UNAVAILABLE"):
        # Triton answers before the instances are gone.
        return {"name": value["name"], "state": "going or gone"}
    if "last_inference" in value:
        value = {**value, "last_inference": value["last_inference"] > 0}
    return {key: comparable(member) for key, member in value.items()}


def ask_rpc(channel: grpc.Channel, case: Rpc) -> tuple[str, Any]:
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    try:
        answer = getattr(stub, case.method)(case.message, timeout=20)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", str(answer)


def equal(ours: Any, theirs: Any) -> bool:
    return bool(ours == theirs) or re.sub(r"\s+$", "", str(ours)) == re.sub(r"\s+$", "", str(theirs))
