"""Tensors in memory of a GPU, with Triton's own clients; the driver is a stand-in."""

import base64
import ctypes.util
import queue
import re

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import InferenceServerException


@pytest.fixture(params=["http", "grpc"])
def library(request):
    return {"http": http_client, "grpc": grpc_client}[request.param]


@pytest.fixture(autouse=True)
def echo(repository):
    repository.add_identity("echo")


@pytest.fixture
def connect(library):
    """Connect to a server."""
    door = "http" if library is http_client else "grpc"
    clients = []

    def connect(serving):
        clients.append(library.InferenceServerClient(serving.addresses[door]))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def shared_input(library, array: np.ndarray, region: str, offset: int = 0):
    tensor = library.InferInput("INPUT0", list(array.shape), "FP32")
    tensor.set_shared_memory(region, array.nbytes, offset)
    return tensor


def shared_output(library, region: str, size: int, offset: int = 0):
    wanted = library.InferRequestedOutput("OUTPUT0")
    wanted.set_shared_memory(region, size, offset)
    return wanted


def statuses(client) -> list[tuple[str, int, int]]:
    """Name, GPU and size of every region of memory of GPUs."""
    found = client.get_cuda_shared_memory_status()
    if isinstance(found, list):
        return [(row["name"], row["device_id"], row["byte_size"]) for row in found]
    return sorted((row.name, row.device_id, row.byte_size) for row in found.regions.values())


def test_tensors_go_from_one_region_to_another(start, allocate, connect, library):
    serving = start()
    client = connect(serving)
    array = np.random.default_rng(0).random((1, 150_528), np.float32)
    given, taken = allocate(array.nbytes, device=0), allocate(array.nbytes + 64, device=1)
    shm.set_shared_memory_region(given.segment, [array])
    client.register_cuda_shared_memory("in", given.handle, 0, given.size)
    client.register_cuda_shared_memory("out", taken.handle, 1, taken.size)
    assert statuses(client) == [("in", 0, given.size), ("out", 1, taken.size)]

    wanted = shared_output(library, "out", array.nbytes, 64)
    client.infer("echo", [shared_input(library, array, "in")], outputs=[wanted])

    np.testing.assert_array_equal(shm.get_contents_as_numpy(taken.segment, np.float32, array.shape, 64), array)
    assert serving.maps(given.name)
    client.unregister_cuda_shared_memory("in")
    assert not serving.maps(given.name), "the client may free it once it is told"
    assert statuses(client) == [("out", 1, taken.size)]
    client.unregister_cuda_shared_memory()
    assert not serving.maps(taken.name)
    assert statuses(client) == []


def test_a_tensor_may_come_from_a_segment_and_go_to_a_gpu(start, allocate, connect, library):
    client = connect(start())
    array = np.arange(8, dtype=np.float32).reshape(1, 8)
    segment, memory = allocate(array.nbytes), allocate(array.nbytes)
    shm.set_shared_memory_region(segment.segment, [array])
    client.register_system_shared_memory("in", segment.name, array.nbytes)
    client.register_cuda_shared_memory("out", memory.handle, 0, array.nbytes)

    wanted = [shared_output(library, "out", array.nbytes)]
    client.infer("echo", [shared_input(library, array, "in")], outputs=wanted)

    np.testing.assert_array_equal(shm.get_contents_as_numpy(memory.segment, np.float32, array.shape), array)
    with pytest.raises(InferenceServerException, match="'in' is registered as system shared memory, not CUDA"):
        client.get_cuda_shared_memory_status("in")
    with pytest.raises(InferenceServerException, match="'out' is registered as CUDA shared memory, not system"):
        client.get_system_shared_memory_status("out")


def test_what_lies_outside_a_region_is_refused(start, allocate, connect, library):
    client = connect(start())
    array = np.zeros((1, 4), np.float32)
    memory = allocate(64)
    client.register_cuda_shared_memory("c", memory.handle, 0, 32)
    for offset, reason in ((32, "Invalid offset for"), (20, "Invalid offset \\+ byte size for")):
        with pytest.raises(InferenceServerException, match=f"{reason} shared memory region: 'c'"):
            client.infer("echo", [shared_input(library, array, "c", offset)])
        with pytest.raises(InferenceServerException, match=f"{reason} shared memory region: 'c'"):
            wanted = shared_output(library, "c", array.nbytes, offset)
            client.infer("echo", [shared_input(library, array, "c")], outputs=[wanted])
    with pytest.raises(InferenceServerException, match=r"\(8 bytes\) should be at least 16 bytes"):
        client.infer("echo", [shared_input(library, array, "c")], outputs=[shared_output(library, "c", 8)])


def test_memory_that_no_gpu_has_is_refused(start, allocate, connect):
    serving = start()
    client = connect(serving)
    memory, gone = allocate(4096, device=1), base64.b64encode(b"/test_gpu_gone".ljust(64, b"\0"))
    prefix = "failed to register shared memory region 'c': invalid args: "
    for handle, device, size, why in (
        (memory.handle, 2, 64, "there is no GPU 2, found 2, counted from 0"),
        (memory.handle, 0, 64, "cuIpcOpenMemHandle: CUDA_ERROR_PEER_ACCESS_UNSUPPORTED"),
        (memory.handle, 1, 4097, "4097 bytes of memory that has 4096"),
        (gone, 0, 64, "cuIpcOpenMemHandle: CUDA_ERROR_INVALID_HANDLE"),
    ):
        with pytest.raises(InferenceServerException, match=re.escape(prefix + why)):
            client.register_cuda_shared_memory("c", handle, device, size)
    client.register_cuda_shared_memory("c", memory.handle, 1, 4096)
    with pytest.raises(InferenceServerException, match="shared memory region 'c' already in manager"):
        client.register_cuda_shared_memory("c", memory.handle, 1, 4096)
    with pytest.raises(InferenceServerException, match="Unable to find cuda shared memory region: 'd'"):
        client.get_cuda_shared_memory_status("d")


def test_requests_of_a_stream_keep_their_order_wherever_their_tensors_are(start, allocate):
    """Copies happen beside the thread that reads the stream, and nothing overtakes them."""
    serving = start()
    array = np.arange(4, dtype=np.float32).reshape(1, 4)
    memory = allocate(64)
    shm.set_shared_memory_region(memory.segment, [array])
    answers: queue.Queue[tuple[object, Exception | None]] = queue.Queue()
    plain = grpc_client.InferInput("INPUT0", [1, 4], "FP32").set_data_from_numpy(array)
    lent, outside = shared_input(grpc_client, array, "c"), shared_input(grpc_client, array, "c", 64)
    wanted = shared_output(grpc_client, "c", 16, 32)
    asked = [([plain], None), ([lent], [wanted]), ([plain], [wanted]), ([outside], None), ([lent], None)] * 20
    with grpc_client.InferenceServerClient(serving.addresses["grpc"]) as client:
        client.register_cuda_shared_memory("c", memory.handle, 0, 64)
        client.start_stream(lambda result, error: answers.put((result, error)))
        for number, (inputs, outputs) in enumerate(asked):
            client.async_stream_infer("echo", inputs, outputs=outputs, request_id=str(number))
        told = [answers.get(timeout=20) for _ in asked]
        client.stop_stream()

    for number, ((inputs, outputs), (result, error)) in enumerate(zip(asked, told, strict=True)):
        if inputs == [outside]:
            assert "Invalid offset for shared memory region: 'c'" in str(error)
            continue
        assert error is None
        assert result.get_response().id == str(number)
        if outputs is None:
            np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), array)
    np.testing.assert_array_equal(shm.get_contents_as_numpy(memory.segment, np.float32, (1, 4), 32), array)


NOWHERE = [
    ({"gpus": 0}, "libcuda.so.1: cannot open shared object file"),
    ({"gpus": 1, "STANDIN_GPUS": "0"}, "CUDA_ERROR_NO_DEVICE"),
]


@pytest.mark.parametrize(("machine", "why"), NOWHERE)
def test_a_machine_without_gpus_says_so(start, allocate, connect, machine, why):
    if not machine["gpus"] and ctypes.util.find_library("cuda"):
        pytest.skip("this machine has a CUDA driver")
    serving = start(**machine)
    client = connect(serving)
    for _ in range(2):
        text = "failed to register CUDA shared memory region: 'c', GPUs not supported"
        with pytest.raises(InferenceServerException, match=text) as caught:
            client.register_cuda_shared_memory("c", allocate(64).handle, 0, 64)
        assert caught.value.status() in {"501", "StatusCode.UNIMPLEMENTED"}
    assert statuses(client) == []
    client.unregister_cuda_shared_memory()
    told = [line for line in serving.messages() if line.startswith("no CUDA shared memory: ")]
    assert len(told) == 1
    assert why in told[0]
