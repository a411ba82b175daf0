"""``windlass bench`` of servers that speak TLS: gRPC's own, and REST behind a door that ends it."""

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

import windlass
from support.certificates import Authority
from support.models import make_onnx_identity
from windlass.cli.bench import bench
from windlass.errors import ClientError, UsageError, WindlassError
from windlass.serving.grpc import GrpcSettings, GrpcTls

QUICK = ("--window", "0.1", "--windows", "1", "--warm-up", "0", "-c", "2", "--json")


def measured(*words: object) -> dict:
    told = CliRunner().invoke(bench, [*map(str, words), *QUICK])
    if isinstance(told.exception, WindlassError):
        raise told.exception
    assert told.exit_code == 0, (told.output, told.exception)
    return json.loads(told.stdout)


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """Files of an authority, of a server and of a client whose certificates it signed."""
    authority, found = Authority(), {"authority": tmp_path / "authority.pem"}
    found["authority"].write_bytes(authority.certificate)
    for name in ("server", "client"):
        signed = authority.sign(name)
        found |= {name: tmp_path / f"{name}.pem", f"{name}.key": tmp_path / f"{name}.key"}
        found[name].write_bytes(signed.certificate)
        found[f"{name}.key"].write_bytes(signed.key)
    return found


@contextmanager
def door(port: int, files: dict[str, Path]) -> Iterator[str]:
    """End TLS before a port of this machine, for clients that have a certificate; yields the address."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files["authority"])
    tls.load_cert_chain(files["server"], files["server.key"])
    tls.verify_mode = ssl.CERT_REQUIRED

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    async def let_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer), return_exceptions=True)

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(let_in, "127.0.0.1", 0, ssl=tls))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(_end())
        loop.close()


async def _end() -> None:
    carried = asyncio.all_tasks() - {asyncio.current_task()}
    for task in carried:
        task.cancel()
    await asyncio.gather(*carried, return_exceptions=True)


def test_grpc_over_tls_is_measured_with_a_certificate_of_ones_own(repository, serve, files):
    make_onnx_identity(repository.path / "same" / "1" / "model.onnx")
    tls = GrpcTls(files["server"], files["server.key"], files["authority"])
    server = serve(grpc=GrpcSettings(tls=tls))
    who = ("--tls-ca", files["authority"], "--tls-certificate", files["client"], "--tls-key", files["client.key"])

    told = measured(server.url("http"), f"grpcs://{server.url('grpc')}", "same", "--protocol", "grpc", *who)

    (point,) = told["points"]
    assert point["requests"] > 0 and not point["failures"]
    assert told["address"].startswith("grpcs://")


def test_rest_over_tls_is_measured_and_asked_for_its_models(repository, serve, files):
    make_onnx_identity(repository.path / "same" / "1" / "model.onnx")
    port = int(serve().url("http").rpartition(":")[2])
    who = ("--tls-certificate", files["client"], "--tls-key", files["client.key"])

    with door(port, files) as address:
        told = measured(address, "same", "--tls-ca", files["authority"], *who)
        with pytest.raises(ClientError, match="no answer from https") as unknown:
            measured(address, "same", *who)

    assert told["points"][0]["requests"] > 0 and not told["points"][0]["failures"]
    assert "--tls-ca FILE" in unknown.value.hint


def test_a_client_in_python_believes_whom_it_is_told_to(repository, serve, files):
    repository.add_identity("same")
    port = int(serve().url("http").rpartition(":")[2])
    tls = ssl.create_default_context(cafile=files["authority"])
    tls.load_cert_chain(files["client"], files["client.key"])

    with door(port, files) as address, windlass.Client(address, tls=tls) as client:
        assert client.ready("same")


def test_a_port_that_speaks_no_tls_is_told(repository, serve):
    repository.add_identity("same")
    with pytest.raises(ClientError) as raised:
        measured(serve().url("http").replace("http:", "https:"), "same")
    assert raised.value.hint == "does that port speak TLS? `http://` asks without"


@pytest.mark.parametrize(
    ("address", "options", "message"),
    [
        ("http://127.0.0.1:1", {"--tls-ca": "authority"}, "are about servers that speak TLS"),
        ("https://127.0.0.1:1", {"--tls-certificate": "client"}, "come together"),
        ("https://127.0.0.1:1", {"--tls-ca": "client.key"}, "`--tls-ca`: `.*client.key` holds no certificate"),
        ("https://127.0.0.1:1", {"--tls-certificate": "client", "--tls-key": "server.key"}, "do not go together"),
    ],
)
def test_files_that_make_no_sense_are_refused(files, address, options, message):
    words = [word for name, file in options.items() for word in (name, files[file])]
    with pytest.raises(UsageError, match=message):
        measured(address, "same", *words)
