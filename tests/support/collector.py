"""A collector of OpenTelemetry's spans, over HTTP or gRPC: what it is sent, read by hand from the bytes on the wire."""

import ssl
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from tempfile import NamedTemporaryFile

import grpc

from support.certificates import Signed

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@dataclass
class Span:
    """What the tests look at of a span."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    kind: int
    start: int
    end: int
    attributes: dict[str, object]
    events: list[str]


@dataclass
class Collector:
    """Spans as they come, and who sent them."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    resource: dict[str, object] = field(default_factory=dict)
    tracer: str = ""
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, message: bytes) -> None:
        with self._changed:
            for resource_spans in members(message).get(1, []):
                parts = members(resource_spans)
                self.resource = attributes(members(parts[1][0]).get(1, []))
                for scope_spans in parts[2]:
                    scope = members(scope_spans)
                    self.tracer = text(members(scope[1][0]), 1)
                    self.spans += [read(span) for span in scope.get(2, [])]
            self._changed.notify_all()

    def until(self, count: int) -> list[Span]:
        """Wait for so many spans; returns them by their start."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.spans) >= count, 10), [span.name for span in self.spans]
            return sorted(self.spans, key=lambda span: (span.start, -span.end))


def members(message: bytes) -> dict[int, list]:
    """Take a message of protocol buffers apart: values by the number of their field."""
    found: dict[int, list] = {}
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(message):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            value: object = varint()
        elif kind == 1:
            value = struct.unpack_from("<Q", message, place)[0]
            place += 8
        else:
            assert kind == 2, kind
            length = varint()
            value = message[place : place + length]
            place += length
        found.setdefault(number, []).append(value)
    return found


def text(parts: dict[int, list], number: int) -> str:
    return parts.get(number, [b""])[0].decode()


def attributes(pairs: list[bytes]) -> dict[str, object]:
    found: dict[str, object] = {}
    for pair in pairs:
        parts = members(pair)
        value = members(parts[2][0])
        found[text(parts, 1)] = text(value, 1) if 1 in value else value.get(3, [0])[0]
    return found


def read(span: bytes) -> Span:
    parts = members(span)
    return Span(
        name=text(parts, 5),
        trace_id=parts[1][0].hex(),
        span_id=parts[2][0].hex(),
        parent_id=parts.get(4, [b""])[0].hex(),
        state=text(parts, 3),
        kind=parts.get(6, [0])[0],
        start=parts[7][0],
        end=parts[8][0],
        attributes=attributes(parts.get(9, [])),
        events=[text(members(event), 2) for event in parts.get(11, [])],
    )


@contextmanager
def collecting(protocol: str, identity: Signed | None = None) -> Iterator[Collector]:
    """Collect over ``http/protobuf`` or ``grpc``, until the block ends; over TLS for who has a certificate."""
    collector = Collector()
    with _http(collector, identity) if protocol == "http/protobuf" else _grpc(collector, identity):
        yield collector


@contextmanager
def _http(collector: Collector, identity: Signed | None) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/x-protobuf"
            message = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            collector.take(message)

        def log_message(self, *_: object) -> None:
            """Tests need no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if identity is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with NamedTemporaryFile(suffix=".pem") as both:
            both.write(identity.certificate + identity.key)
            both.flush()
            context.load_cert_chain(both.name)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "https" if identity else "http"
    collector.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/v1/traces"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _grpc(collector: Collector, identity: Signed | None) -> Iterator[None]:
    def export(message: bytes, _: grpc.ServicerContext) -> bytes:
        collector.take(message)
        return b""

    class Service(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            return grpc.unary_unary_rpc_method_handler(export) if details.method == EXPORT else None

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Service()])
    if identity is None:
        collector.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    else:
        pair = (identity.key, identity.certificate)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        collector.url = f"https://127.0.0.1:{port}"
    server.start()
    try:
        yield
    finally:
        server.stop(0).wait()
