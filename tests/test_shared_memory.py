"""Tensors that stay in the client's memory, with Triton's own clients and utilities."""

import asyncio
import contextlib
import os
import queue
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as http_client
import tritonclient.http.aio as http_aio
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
def server(repository, serve):
    repository.add_identity("echo", extra="dynamic_batching {}")
    repository.add_identity("local", extra='parameters { key: "isolated" value { string_value: "false" } }')
    repository.add_identity("words", "STRING")
    return serve(client_shm=True)


@pytest.fixture
def client(library, server):
    door = "http" if library is http_client else "grpc"
    with library.InferenceServerClient(server.addresses[door]) as client:
        yield client


def key(handle: object) -> str:
    return handle._shm_key  # type: ignore[attr-defined]


def shared_input(library, array: np.ndarray, region: str, offset: int = 0):
    tensor = library.InferInput("INPUT0", list(array.shape), "FP32")
    tensor.set_shared_memory(region, array.nbytes, offset)
    return tensor


def shared_output(library, region: str, size: int, offset: int = 0):
    wanted = library.InferRequestedOutput("OUTPUT0")
    wanted.set_shared_memory(region, size, offset)
    return wanted


@pytest.mark.parametrize("model", ["echo", "local"])
def test_tensors_go_from_one_region_to_another(model, client, library):
    array = np.random.default_rng(0).random((1, 150_528), np.float32)
    with segment("in", array.nbytes) as given, segment("out", array.nbytes + 64) as taken:
        shm.set_shared_memory_region(given, [array])
        client.register_system_shared_memory("in", key(given), array.nbytes)
        client.register_system_shared_memory("out", key(taken), array.nbytes + 64)
        given_there = shared_input(library, array, "in")

        client.infer(model, [given_there], outputs=[shared_output(library, "out", array.nbytes, 64)])

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


def test_strings_come_back_in_a_region_with_their_lengths(client, library):
    words = np.array([[b"one", b"zwei"]], object)
    size = len(serialize_byte_tensor(words).item())
    with segment("out", 64) as taken:
        client.register_system_shared_memory("out", key(taken), 64)
        tensor = library.InferInput("INPUT0", [1, 2], "BYTES")
        tensor.set_data_from_numpy(words)

        client.infer("words", [tensor], outputs=[shared_output(library, "out", 64)])

        found = shm.get_contents_as_numpy(taken, np.object_, (1, 2))
        assert found.tolist() == words.tolist()
        with pytest.raises(InferenceServerException, match=f"\\({size - 1} bytes\\) should be at least {size} bytes"):
            client.infer("words", [tensor], outputs=[shared_output(library, "out", size - 1)])


def test_an_output_may_lie_where_its_input_does(client, library):
    """And regions may overlap: what is read was read before anything is written."""
    array = np.arange(8, dtype=np.float32).reshape(1, 8)
    with segment("both", 64) as both:
        shm.set_shared_memory_region(both, [array])
        client.register_system_shared_memory("all", key(both), 64)
        client.register_system_shared_memory("behind", key(both), 48, offset=16)

        client.infer("echo", [shared_input(library, array, "all")], outputs=[shared_output(library, "behind", 32)])

        found = shm.get_contents_as_numpy(both, np.float32, (12,)).tolist()
        assert found == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7]


def test_a_large_tensor_goes_through_a_region(client, library):
    """So large that nobody else's requests wait for its copies."""
    array = np.arange(2**21, dtype=np.float32).reshape(1, -1)
    with segment("both", 2 * array.nbytes) as both:
        shm.set_shared_memory_region(both, [array])
        client.register_system_shared_memory("both", key(both), 2 * array.nbytes)
        wanted = shared_output(library, "both", array.nbytes, array.nbytes)

        client.infer("echo", [shared_input(library, array, "both")], outputs=[wanted])

        found = shm.get_contents_as_numpy(both, np.float32, array.shape, array.nbytes)
        np.testing.assert_array_equal(found, array)


def test_what_lies_outside_a_region_is_refused(client, library):
    array = np.zeros((1, 4), np.float32)
    with segment("in", 64) as given:
        client.register_system_shared_memory("in", key(given), 32, offset=16)
        for offset, reason in ((32, "Invalid offset for"), (20, "Invalid offset \\+ byte size for")):
            with pytest.raises(InferenceServerException, match=f"{reason} shared memory region: 'in'"):
                client.infer("echo", [shared_input(library, array, "in", offset)])
            with pytest.raises(InferenceServerException, match=f"{reason} shared memory region: 'in'"):
                client.infer(
                    "echo",
                    [shared_input(library, array, "in")],
                    outputs=[shared_output(library, "in", array.nbytes, offset)],
                )
        with pytest.raises(InferenceServerException, match="Unable to find shared memory region: 'out'"):
            client.infer("echo", [shared_input(library, array, "out")])


def test_a_region_is_gone_once_it_is_unregistered_and_its_segment_may_go_before(client, library):
    array = np.ones((1, 4), np.float32)
    with segment("in", 16) as given:
        shm.set_shared_memory_region(given, [array])
        client.register_system_shared_memory("in", key(given), 16)
    # The server keeps what it has opened, as every process does.
    assert client.infer("echo", [shared_input(library, array, "in")]).as_numpy("OUTPUT0").tolist() == array.tolist()
    client.unregister_system_shared_memory("in")
    client.unregister_system_shared_memory("in")
    with pytest.raises(InferenceServerException, match="Unable to find shared memory region: 'in'"):
        client.infer("echo", [shared_input(library, array, "in")])
    with pytest.raises(InferenceServerException, match="Unable to find system shared memory region: 'in'"):
        client.get_system_shared_memory_status("in")


@pytest.mark.parametrize("library", [http_aio, grpc_aio])
def test_asynchronous_clients_share_memory_too(library, server):
    array = np.arange(4, dtype=np.float32).reshape(1, 4)
    door = "http" if library is http_aio else "grpc"

    async def converse(given: object) -> None:
        async with library.InferenceServerClient(server.addresses[door]) as client:
            await client.register_system_shared_memory("all", key(given), 64)
            assert "all" in str(await client.get_system_shared_memory_status("all"))
            wanted = [shared_output(library, "all", 16, 32)]
            await client.infer("echo", [shared_input(library, array, "all")], outputs=wanted)
            await client.unregister_system_shared_memory("all")
            assert "all" not in str(await client.get_system_shared_memory_status())
            assert "nothing" not in str(await client.get_cuda_shared_memory_status())
            await client.unregister_cuda_shared_memory()
            with pytest.raises(InferenceServerException, match="failed to register"):
                await client.register_cuda_shared_memory("c", ("A" * 86 + "==").encode(), 0, 64)

    with segment("all", 64) as given:
        shm.set_shared_memory_region(given, [array])
        asyncio.run(converse(given))
        np.testing.assert_array_equal(shm.get_contents_as_numpy(given, np.float32, (1, 4), 32), array)


def test_streams_share_memory_too(server):
    array = np.arange(4, dtype=np.float32).reshape(1, 4)
    answers: queue.Queue[tuple[object, Exception | None]] = queue.Queue()
    with segment("all", 64) as given, grpc_client.InferenceServerClient(server.addresses["grpc"]) as client:
        shm.set_shared_memory_region(given, [array])
        client.register_system_shared_memory("all", key(given), 64)
        client.start_stream(lambda result, error: answers.put((result, error)))
        wanted = [shared_output(grpc_client, "all", 16, 32)]
        client.async_stream_infer("echo", [shared_input(grpc_client, array, "all")], outputs=wanted)
        client.async_stream_infer("echo", [shared_input(grpc_client, array, "nope")], outputs=wanted)
        (_, first), (_, second) = answers.get(timeout=10), answers.get(timeout=10)
        client.stop_stream()

        assert first is None
        assert "Unable to find shared memory region: 'nope'" in str(second)
        np.testing.assert_array_equal(shm.get_contents_as_numpy(given, np.float32, (1, 4), 32), array)


def test_a_segment_that_shrinks_leaves_the_server_serving(client, library):
    with segment("in", 4096) as given:
        client.register_system_shared_memory("in", key(given), 4096)
        os.truncate(f"/dev/shm{key(given)}", 0)
        array = np.zeros((1, 1024), np.float32)
        plain = library.InferInput("INPUT0", [1, 1024], "FP32")
        plain.set_data_from_numpy(array)

        with pytest.raises(InferenceServerException, match="has become smaller"):
            client.infer("echo", [shared_input(library, array, "in")])
        with pytest.raises(InferenceServerException, match="has become smaller"):
            client.infer("echo", [plain], outputs=[shared_output(library, "in", 4096)])

        assert client.is_server_ready()
        assert Path(f"/dev/shm{key(given)}").stat().st_size == 0


def test_it_is_off_unless_it_is_asked_for(library, serve):
    door = "http" if library is http_client else "grpc"
    with library.InferenceServerClient(serve().addresses[door]) as client:
        with pytest.raises(InferenceServerException, match="Client shared memory is disabled"):
            client.register_system_shared_memory("r", "/x", 8)
        statuses = client.get_system_shared_memory_status()
        assert not (statuses if isinstance(statuses, list) else statuses.regions)
