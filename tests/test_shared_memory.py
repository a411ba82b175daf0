"""Tensors that stay in the client's memory, with Triton's own clients and utilities."""

import contextlib
import os
from collections.abc import Iterator
from uuid import uuid4

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import InferenceServerException, serialize_byte_tensor


@contextlib.contextmanager
def segment(name: str, size: int) -> Iterator[object]:
    handle = shm.create_shared_memory_region(name, f"/test_{uuid4().hex}", size)
    try:
        yield handle
    finally:
        shm.destroy_shared_memory_region(handle)


@pytest.fixture(params=["http", "grpc"])
def library(request):
    return {"http": http_client, "grpc": grpc_client}[request.param]


@pytest.fixture
def client(library, repository, serve):
    repository.add_identity("echo", extra="dynamic_batching {}")
    repository.add_identity("words", "STRING")
    door = "http" if library is http_client else "grpc"
    with library.InferenceServerClient(serve(client_shm=True).addresses[door]) as client:
        yield client


def key(handle: object) -> str:
    return handle._shm_key  # type: ignore[attr-defined]


def test_tensors_go_from_one_region_to_another(client, library):
    array = np.random.default_rng(0).random((1, 150_528), np.float32)
    with segment("in", array.nbytes) as given, segment("out", array.nbytes + 64) as taken:
        shm.set_shared_memory_region(given, [array])
        client.register_system_shared_memory("in", key(given), array.nbytes)
        client.register_system_shared_memory("out", key(taken), array.nbytes + 64)
        tensor = library.InferInput("INPUT0", list(array.shape), "FP32")
        tensor.set_shared_memory("in", array.nbytes)
        wanted = library.InferRequestedOutput("OUTPUT0")
        wanted.set_shared_memory("out", array.nbytes, 64)

        client.infer("echo", [tensor], outputs=[wanted])

        np.testing.assert_array_equal(shm.get_contents_as_numpy(taken, np.float32, array.shape, 64), array)
        client.unregister_system_shared_memory()
        statuses = client.get_system_shared_memory_status()
        assert not (statuses if isinstance(statuses, list) else statuses.regions)


def test_strings_go_through_a_region(client, library):
    words = np.array([[b"one", "zw\u00f6lf".encode(), b""]], object)
    flat = serialize_byte_tensor(words)
    size = len(flat.item())
    with segment("in", size) as given:
        shm.set_shared_memory_region(given, [flat])
        client.register_system_shared_memory("in", key(given), size)
        tensor = library.InferInput("INPUT0", [1, 3], "BYTES")
        tensor.set_shared_memory("in", size)

        answer = client.infer("words", [tensor])

        assert answer.as_numpy("OUTPUT0").tolist() == words.tolist()


def test_a_segment_that_shrinks_leaves_the_server_serving(client, library):
    with segment("in", 4096) as given:
        client.register_system_shared_memory("in", key(given), 4096)
        os.truncate(f"/dev/shm{key(given)}", 0)
        tensor = library.InferInput("INPUT0", [1, 1024], "FP32")
        tensor.set_shared_memory("in", 4096)

        with pytest.raises(InferenceServerException, match="has become smaller"):
            client.infer("echo", [tensor])

        assert client.is_server_ready()


def test_memory_of_gpus_is_refused(client):
    with pytest.raises(InferenceServerException, match="CUDA shared memory region: 'c', GPUs not supported"):
        client.register_cuda_shared_memory("c", ("A" * 86 + "==").encode(), 0, 64)
    statuses = client.get_cuda_shared_memory_status()
    assert not (statuses if isinstance(statuses, list) else statuses.regions)


def test_it_is_off_unless_it_is_asked_for(library, serve):
    door = "http" if library is http_client else "grpc"
    with library.InferenceServerClient(serve().addresses[door]) as client:
        with pytest.raises(InferenceServerException, match="Client shared memory is disabled"):
            client.register_system_shared_memory("r", "/x", 8)
        statuses = client.get_system_shared_memory_status()
        assert not (statuses if isinstance(statuses, list) else statuses.regions)
