"""The same on a real GPU, with the memory that Triton's own utilities allocate."""

import re

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client

from windlass.backends import cuda

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def gpu():
    if not cuda.device_count():
        pytest.skip("no CUDA device")


@pytest.mark.parametrize(("library", "door"), [(http_client, "http"), (grpc_client, "grpc")])
def test_tensors_stay_in_memory_of_the_gpu(repository, start, library, door):
    import tritonclient.utils.cuda_shared_memory as cudashm

    repository.add_identity("echo", extra="instance_group { kind: KIND_CPU }")
    serving = start(gpus=0)
    array = np.random.default_rng(0).random((1, 150_528), np.float32)
    given, taken = (cudashm.create_shared_memory_region(name, array.nbytes, 0) for name in ("in", "out"))
    cudashm.set_shared_memory_region(given, [array])
    with library.InferenceServerClient(serving.addresses[door]) as client:
        for name, memory in (("in", given), ("out", taken)):
            client.register_cuda_shared_memory(name, cudashm.get_raw_handle(memory), 0, array.nbytes)
        tensor = library.InferInput("INPUT0", list(array.shape), "FP32")
        tensor.set_shared_memory("in", array.nbytes)
        wanted = library.InferRequestedOutput("OUTPUT0")
        wanted.set_shared_memory("out", array.nbytes)

        client.infer("echo", [tensor], outputs=[wanted])

        found = cudashm.get_contents_as_numpy(taken, np.float32, array.shape)
        np.testing.assert_array_equal(found, array)
        client.unregister_cuda_shared_memory()
    for memory in (given, taken):
        cudashm.destroy_shared_memory_region(memory)


def test_the_metrics_page_tells_of_it(repository, start):
    repository.add_identity("echo", extra="instance_group { kind: KIND_GPU gpus: [ 0 ] }")
    serving = start("--metrics-interval-ms=1", gpus=0)
    tensor = {"name": "INPUT0", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    url = f"http://{serving.addresses['http']}/v2/models/echo/infer"
    httpx.post(url, json={"inputs": [tensor]}).raise_for_status()

    text = httpx.get(f"http://{serving.addresses['metrics']}/metrics").text

    label = re.search(r'nv_inference_request_success\{.*gpu_uuid="([^"]+)"\} 1$', text, re.MULTILINE)
    assert label
    row = re.search(rf'nv_gpu_memory_total_bytes\{{gpu_uuid="{label[1]}"\}} (\S+)', text)
    assert row, "the driver and NVML call it the same"
    assert float(row[1]) > 1 << 28
