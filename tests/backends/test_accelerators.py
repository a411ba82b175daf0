"""What ONNX Runtime is asked to execute on: values, since most machines have no GPU."""

import pytest

from windlass.backends.accelerators import keeping, providers, unknown
from windlass.config import parse_text

TENSORRT = """optimization { execution_accelerators { gpu_execution_accelerator {
  name: "tensorrt"
  parameters { key: "precision_mode" value: "FP16" }
  parameters { key: "max_workspace_size_bytes" value: "1073741824" }
  parameters { key: "trt_engine_cache_enable" value: "1" }
} } }"""


def config(text: str = ""):
    return parse_text(text, "config.pbtxt")


def test_tensorrt_comes_before_cuda_which_takes_what_it_leaves():
    (first, options), (second, _) = providers(config(TENSORRT), "GPU", 1)
    assert (first, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert options == {
        "device_id": 1,
        "trt_fp16_enable": "1",
        "trt_max_workspace_size": "1073741824",
        "trt_engine_cache_enable": "1",
    }


def test_without_an_accelerator_a_gpu_is_cuda():
    assert providers(config(), "GPU", 0) == [("CUDAExecutionProvider", {"device_id": 0})]


@pytest.mark.parametrize("text", ["", TENSORRT])
def test_instances_on_the_processor_stay_there(text):
    assert providers(config(text), "CPU", 0) == [("CPUExecutionProvider", {})]


def test_an_accelerator_that_is_not_offered_is_named():
    other = 'optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }'
    assert unknown(config(other)) == ["openvino"]
    assert unknown(config(TENSORRT)) == []


def test_engines_of_tensorrt_are_kept_where_there_is_a_folder(tmp_path):
    chosen = providers(config(TENSORRT.replace('value: "1" }', 'value: "0" }')), "GPU", 2)

    (_, tensorrt), cuda = keeping(chosen, tmp_path)

    assert tensorrt["trt_engine_cache_path"] == tensorrt["trt_timing_cache_path"] == str(tmp_path)
    assert tensorrt["trt_engine_cache_enable"] == "0"
    assert cuda == chosen[1]
    assert keeping(chosen, None) == chosen
