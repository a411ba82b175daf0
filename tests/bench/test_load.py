"""The load generator, through Python, on servers that run."""

import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

import windlass
from support.certificates import Authority
from windlass.bench.load import Closed, Load, Open, Request, measure, measure_all
from windlass.bench.trust import Trust
from windlass.client import encode_request
from windlass.errors import UsageError
from windlass.serving.grpc import GrpcSettings, GrpcTls

PATH = "/v2/models/identity/infer"


def message(model: str = "identity") -> bytes:
    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.add(name="INPUT0", datatype="FP32", shape=[1, 4])
    request.raw_input_contents.append(np.arange(4, dtype=np.float32).tobytes())
    return request.SerializeToString()


def requests(*lengths: int) -> list[Request]:
    """Binary requests of several lengths, each with the header that says where its tensors begin."""
    made = []
    for length in lengths:
        body, head = encode_request({"INPUT0": np.zeros((1, length), np.float32)}, (), {})
        made.append(Request(body, {"Inference-Header-Content-Length": str(head)}))
    return made


@pytest.fixture
def server(repository, serve):
    repository.add_identity("identity")
    return serve()


def url(server: windlass.Server, door: str = "http") -> str:
    return f"{door}://{server.addresses[door.removesuffix('s')]}"


def executed(server: windlass.Server) -> int:
    """How many requests the model itself has answered."""
    with windlass.Client(url(server)) as client:
        return client.statistics("identity")[0]["inference_stats"]["success"]["count"]


def test_what_is_counted_is_what_the_server_answered(server):
    outcome = measure(Load(url=url(server), path=PATH, requests=requests(2, 300, 7), mode=Closed(4), seconds=0.3))

    assert outcome.failures == {}
    assert outcome.requests == executed(server) == outcome.latencies.count > 0
    assert sum(interval.requests for interval in outcome.intervals) == outcome.requests
    assert sum(interval.latency_sum_us for interval in outcome.intervals) == pytest.approx(outcome.latencies.sum_us)
    assert 0 < outcome.latencies.percentile(50) <= outcome.latencies.percentile(99) <= outcome.latencies.max_us
    assert outcome.connections == 4
    assert outcome.cpu_seconds > 0


def test_calls_over_grpc_are_counted_alike(server):
    outcome = measure(Load(url=url(server, "grpc"), requests=[message()], mode=Closed(8), seconds=0.3))

    assert outcome.failures == {}
    assert outcome.requests == executed(server) > 0
    assert outcome.connections == 2


def test_an_open_loop_asks_at_its_rate(server):
    def load(seed):
        return Load(
            url=url(server), path=PATH, requests=requests(2), mode=Open(400, seed=seed, in_flight=32), seconds=0.5
        )

    outcomes = [measure(load(seed)) for seed in (1, 1, 2)]

    asked = [outcome.requests + outcome.unsent for outcome in outcomes]
    assert asked[0] == asked[1]
    assert 130 < asked[0] < 270 and 130 < asked[2] < 270
    assert all(outcome.failures == {} for outcome in outcomes)
    assert outcomes[0].delays.count == outcomes[0].requests


def test_several_loads_run_at_once(server):
    over_http = Load(url=url(server), path=PATH, requests=requests(2), mode=Closed(2), seconds=0.3)
    over_grpc = Load(url=url(server, "grpc"), requests=[message()], mode=Open(100, "constant"), seconds=0.3)

    first, second = measure_all([over_http, over_grpc], threads=2)

    assert (second.requests, second.unsent, second.failures, first.failures) == (30, 0, {}, {})
    assert first.requests + second.requests == executed(server)


def test_what_the_server_refuses_is_told_with_its_words(server):
    over_http = Load(url=url(server), path="/v2/models/nobody/infer", requests=requests(2), mode=Closed(1), seconds=0.1)
    over_grpc = Load(url=url(server, "grpc"), requests=[message("nobody")], mode=Closed(1), seconds=0.1)

    first, second = measure_all([over_http, over_grpc])

    assert (first.requests, second.requests) == (0, 0)
    (reason,) = first.failures
    assert reason.startswith("status 4") and "nobody" in first.examples[reason]
    (reason,) = second.failures
    assert reason.startswith("grpc status ") and "nobody" in second.examples[reason]
    assert first.failed == sum(interval.failures for interval in first.intervals) > 0


def test_a_server_that_is_not_there_is_an_outcome():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    outcome = measure(Load(url=f"http://127.0.0.1:{port}", requests=[b"{}"], mode=Closed(1), seconds=0.1))

    assert (outcome.requests, list(outcome.failures), outcome.rate) == (0, ["connection refused"], 0.0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "127.0.0.1:8000"}, "expected http://, https://, grpc:// or grpcs:// in front"),
        ({"requests": []}, "a load needs at least one request"),
        ({"seconds": -1.0}, "a length of -1 seconds"),
        ({"mode": Closed(0)}, "at least one request under way"),
        ({"mode": Open(-5.0)}, "expected a rate of more than 0 requests a second, got -5"),
        ({"headers": {"Connection": "close"}}, "header `Connection` is the generator's own"),
        ({"trust": Trust(Path("/nowhere.pem")), "url": "https://localhost:1"}, "TLS certificate file `/nowhere.pem`"),
    ],
)
def test_a_load_that_makes_no_sense_is_no_load(wrong, words):
    load = {"url": "http://127.0.0.1:1", "requests": [b"{}"], "mode": Closed(1), "seconds": 0.1, **wrong}
    with pytest.raises(UsageError, match=words):
        measure(Load(**load))


def test_a_signal_ends_it():
    class Enough(Exception):
        pass

    def ring(*_: object) -> None:
        raise Enough

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            load = Load(
                url=f"http://127.0.0.1:{silent.getsockname()[1]}", requests=[b"{}"], mode=Closed(3), seconds=100
            )
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(Enough):
                measure(load)
            left = [silent.accept()[0] for _ in range(3)]
    finally:
        signal.signal(signal.SIGALRM, before)
    for connection in left:
        with connection, connection.makefile("rb") as sent:
            assert sent.read().endswith(b"{}"), "and then its end"


@contextmanager
def speaking_tls(authority: Authority, folder: Path) -> Iterator[str]:
    """Answer over HTTPS, with the standard library's server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests need no log."""

    signed = authority.sign("server")
    both = folder / "server.pem"
    both.write_bytes(signed.certificate + signed.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield f"https://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


def test_https_asks_those_only_whom_it_believes(tmp_path):
    authority = Authority()
    (tmp_path / "authority.pem").write_bytes(authority.certificate)
    with speaking_tls(authority, tmp_path) as https:
        load = {"url": https, "requests": [b"x" * 100_000], "mode": Closed(2), "seconds": 0.3}
        believed = measure(Load(**load, trust=Trust(tmp_path / "authority.pem")))
        unknown = measure(Load(**load))

    assert believed.failures == {} and believed.requests > 0
    assert unknown.requests == 0 and list(unknown.failures) == ["no TLS agreed on"]


def test_grpc_over_tls_shows_its_own_certificate_where_it_is_asked_for(repository, serve, tmp_path):
    authority, files = Authority(), {}
    (tmp_path / "authority.pem").write_bytes(authority.certificate)
    for name in ("server", "client"):
        signed = authority.sign(name)
        files[name] = (tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        files[name][0].write_bytes(signed.certificate)
        files[name][1].write_bytes(signed.key)
    repository.add_identity("identity")
    tls = GrpcTls(*files["server"], clients=tmp_path / "authority.pem")
    server = serve(grpc=GrpcSettings(tls=tls))
    load = {"url": url(server, "grpcs"), "requests": [message()], "mode": Closed(4), "seconds": 0.3}

    known = measure(Load(**load, trust=Trust(tmp_path / "authority.pem", *files["client"])))
    nobody = measure(Load(**load, trust=Trust(tmp_path / "authority.pem")))

    assert known.failures == {} and known.requests > 0
    assert nobody.requests == 0 and nobody.failed > 0
