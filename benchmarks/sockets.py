"""A load generator for large binary requests: prebuilt bytes over raw sockets, in a process of its own."""

import contextlib
import multiprocessing
import socket
import statistics
import struct
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np


@dataclass(frozen=True)
class Load:
    """What came of it: requests a second, and the load generator's own CPU seconds per second."""

    rate: float
    cpu_share: float


def binary_request(path: str, inputs: dict[str, np.ndarray], names: dict[str, str]) -> bytes:
    """Build one POST with tensors behind the JSON; ``names`` are the data types."""
    described = ",".join(
        f'{{"name":"{name}","shape":{list(array.shape)},"datatype":"{names[name]}",'
        f'"parameters":{{"binary_data_size":{array.nbytes}}}}}'
        for name, array in inputs.items()
    )
    head = f'{{"inputs":[{described}],"parameters":{{"binary_data_output":true}}}}'.replace(" ", "").encode()
    body = head + b"".join(array.tobytes() for array in inputs.values())
    return (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nInference-Header-Content-Length: {len(head)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def hammer(port: int, request: bytes, connections: int, seconds: float) -> Load:
    """Send the same request over so many connections for so long; every answer is read whole and has to be a 200."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_run, args=(theirs, port, request, connections, seconds)
    )
    process.start()
    rate, share = ours.recv()
    process.join()
    if rate < 0:
        raise SystemExit(f"error: port {port} answered something else than 200")
    return Load(rate, share)


def _run(pipe: Connection, port: int, request: bytes, connections: int, seconds: float) -> None:
    counts, faults = [0] * connections, []
    until = time.perf_counter() + seconds

    def one(index: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as stream:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            buffer = bytearray(1 << 16)
            while time.perf_counter() < until:
                stream.sendall(request)
                if not _answered(stream, buffer):
                    faults.append(index)
                    return
                counts[index] += 1

    begun, cpu = time.perf_counter(), time.process_time()
    threads = [threading.Thread(target=one, args=(index,)) for index in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    pipe.send((-1.0 if faults else sum(counts) / took, (time.process_time() - cpu) / took))


def _answered(stream: socket.socket, buffer: bytearray) -> bool:
    received = b""
    while b"\r\n\r\n" not in received:
        count = stream.recv_into(buffer)
        if not count:
            return False
        received += bytes(buffer[:count])
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(
        next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    )
    missing = length - len(body)
    while missing > 0:
        count = stream.recv_into(buffer)
        if not count:
            return False
        missing -= count
    return head.startswith(b"HTTP/1.1 200")


def json_request(path: str, body: str) -> bytes:
    """Build one POST of JSON."""
    length = len(body.encode())
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    return (head + body).encode()


def watch(port: int, request: bytes, seconds: float) -> float:
    """Return the median round trip in microseconds at one connection, of a client that looks on instead of sleeping.

    Waking a client up takes as long on a virtual machine as all of a small request; this is what the server takes.
    """
    took, until = [], time.perf_counter() + seconds
    with socket.create_connection(("127.0.0.1", port)) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.setblocking(False)
        while time.perf_counter() < until:
            begun = time.perf_counter()
            stream.send(request)
            answer = b""
            while not answer:
                with contextlib.suppress(BlockingIOError):
                    answer = stream.recv(1 << 16)
            took.append(time.perf_counter() - begun)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"error: port {port} answered {answer[:200]!r}")
    return statistics.median(took) * 1e6


def loopback(size: int, seconds: float) -> float:
    """Return round trips a second of a bare request/response loop: so many bytes there, four bytes back."""
    ready = multiprocessing.get_context("fork").SimpleQueue()

    def serve() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ready.put(listener.getsockname()[1])
            stream, _ = listener.accept()
            buffer = bytearray(size)
            view = memoryview(buffer)
            while True:
                got = 0
                while got < size:
                    count = stream.recv_into(view[got:])
                    if not count:
                        return
                    got += count
                stream.sendall(struct.pack("<I", got))

    process = multiprocessing.get_context("fork").Process(target=serve)
    process.start()
    payload, count, until = b"x" * size, 0, time.perf_counter() + seconds
    with socket.create_connection(("127.0.0.1", ready.get())) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.perf_counter() < until:
            stream.sendall(payload)
            stream.recv(4)
            count += 1
    process.join(5)
    return count / seconds
