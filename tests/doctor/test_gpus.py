"""Judgements about GPUs, over what machines have been seen to say."""

import json

import pytest

from windlass.doctor.checks import containers, driver, onnxruntime, pytorch, visible_devices
from windlass.doctor.machine import Answer, Probe
from windlass.doctor.nvidia import Nvidia

MODULE = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n"
SMI = Answer(
    0,
    "+---------------------------------------------------------------------------------------+\n"
    "| NVIDIA-SMI 535.183.01             Driver Version: 535.183.01   CUDA Version: 12.2     |\n",
)
MISMATCH = Answer(18, "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.65")
NODES = ("nvidia-uvm", "nvidia-uvm-tools", "nvidia0", "nvidiactl")
H200 = {"name": "NVIDIA H200", "capability": [9, 0], "uuid": "GPU-0b1c2d3e-0000-0000-0000-000000000001"}
OTHER = {**H200, "uuid": "GPU-ffffffff-0000-0000-0000-000000000002"}
LIBRARY = {"library": True, "status": 0, "version": 12020, "devices": [H200, OTHER]}


def nvidia(**changes: object) -> Nvidia:
    """A machine with two H200s where all is well, but for the changes."""
    well = {"cards": 2, "module": MODULE, "nodes": NODES, "smi": SMI, "cuda": LIBRARY}
    return Nvidia(**{**well, **changes})


def failing(status: int, **changes: object) -> Nvidia:
    return nvidia(cuda={"library": True, "status": status, "version": 12020, "devices": []}, **changes)


def only(found):
    (one,) = found
    return one


def test_a_machine_without_gpus_is_fine():
    one = only(driver.judge(Nvidia(cuda={"library": False, "said": "no such file"})))
    assert (one.severity, one.remedy) == ("ok", "")


def test_a_driver_that_works_is_told_with_its_gpus():
    one = only(driver.judge(nvidia()))
    assert one.severity == "ok"
    assert one.what == "driver 535.183.01 knows CUDA 12.2"
    assert one.found == "NVIDIA H200 (9.0), NVIDIA H200 (9.0)"


@pytest.mark.parametrize(
    ("facts", "what", "remedy"),
    [
        (
            Nvidia(cards=1, cuda={"library": False}),
            "no NVIDIA driver is loaded",
            "apt install nvidia-driver",
        ),
        (Nvidia(cards=1, nouveau=True), "`nouveau` has the GPU", "blacklist nouveau"),
        (failing(803, smi=MISMATCH), "its old module is still loaded", "sudo reboot"),
        (failing(100, nodes=(), smi=None), "the driver's devices are missing", "nvidia-modprobe"),
        (
            failing(100, nodes=(), smi=None, contained=True),
            "this container was started without GPUs",
            "docker run --gpus all",
        ),
        (failing(100, nodes=("nvidiactl",)), "the driver's devices are missing", "nvidia-modprobe"),
        (failing(100, closed=("nvidia0",)), "this user may not open the GPU", "usermod"),
        (failing(999, nodes=("nvidia0", "nvidiactl")), "the device for computing is missing", "nvidia-modprobe"),
        (nvidia(cuda={"library": False, "said": "libcuda.so.1: no"}), "library cannot be loaded", "libnvidia-compute"),
        (
            nvidia(cuda={"library": False}, contained=True),
            "library cannot be loaded",
            "NVIDIA_DRIVER_CAPABILITIES=compute",
        ),
        (nvidia(cuda={"status": -1}, cuda_state="hung"), "the driver does not answer", "dmesg"),
        (failing(2), "the GPU's memory is full", "nvidia-smi"),
        (failing(34), "a stub of the driver's library", "LD_LIBRARY_PATH"),
        (failing(46), "the GPU is taken", "--compute-mode=DEFAULT"),
        (failing(802), "the GPUs' switches are not set up", "nvidia-fabricmanager"),
        (failing(803), "the driver and its library are of different versions", "LD_LIBRARY_PATH"),
        (failing(804), "work on data centre GPUs only", "cuda/compat"),
        (failing(999), "as it does after a suspend", "rmmod nvidia_uvm"),
        (failing(100), "the driver finds no GPU", "nvidia-smi"),
        (failing(719), "the driver cannot be started", "dmesg"),
    ],
)
def test_what_is_wrong_with_a_driver_is_told_with_what_to_type(facts, what, remedy):
    one = only(driver.judge(facts))
    assert one.severity == "error"
    assert what in one.what
    assert remedy in one.remedy
    assert one.found


@pytest.mark.parametrize(
    ("chosen", "severity", "what"),
    [
        (None, "ok", "every GPU is visible"),
        ("1", "ok", "1 of 2 GPUs are visible"),
        ("1,0", "ok", "2 of 2 GPUs are visible"),
        ("GPU-0b1c2d3e", "ok", "1 of 2 GPUs are visible"),
        ("MIG-1234", "ok", "1 of 2 GPUs are visible"),
        ("", "error", "every GPU is hidden"),
        ("-1", "error", "every GPU is hidden"),
        ("2,0", "error", "every GPU is hidden"),
        ("GPU-77", "error", "every GPU is hidden"),
        ("0,7", "error", "GPUs from `7` on are hidden"),
    ],
)
def test_hidden_gpus_are_told(chosen, severity, what):
    gpus = (str(H200["uuid"]), str(OTHER["uuid"]))
    one = only(visible_devices.judge(visible_devices.Facts(chosen, None, gpus)))
    assert (one.severity, one.what.startswith(what)) == (severity, True), one
    assert bool(one.remedy) == (severity == "error")


def test_gpus_that_are_not_there_cannot_be_hidden():
    assert only(visible_devices.judge(visible_devices.Facts("0", None, ()))).severity == "note"
    assert only(visible_devices.judge(visible_devices.Facts(None, None, ()))).severity == "ok"
    one = only(visible_devices.judge(visible_devices.Facts(None, "void", ())))
    assert (one.severity, "--gpus all" in one.remedy) == ("warning", True)


ARCHITECTURES = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]


def torch(**changes: object) -> Probe:
    told = {
        "version": "2.9.0+cu128",
        "cuda": "12.8",
        "rocm": None,
        "available": True,
        "said": "",
        "architectures": ARCHITECTURES,
        "devices": [H200],
    }
    return Probe("found", {**told, **changes})


@pytest.mark.parametrize(
    ("probe", "facts"),
    [
        (Probe("absent", {}), nvidia()),
        (torch(), nvidia()),
        (torch(cuda=None, available=False), Nvidia()),
        (torch(rocm="6.2", cuda=None), nvidia()),
        (torch(devices=[{"name": "a later one", "capability": [13, 0]}]), nvidia()),
    ],
)
def test_pytorch_that_can_use_what_there_is_is_fine(probe, facts):
    assert only(pytorch.judge(pytorch.Facts(probe, facts))).severity == "ok"


@pytest.mark.parametrize(
    ("probe", "facts", "what", "remedy"),
    [
        (torch(cuda=None, available=False), nvidia(), "for processors only", "whl/cu126"),
        (
            torch(cuda="13.0", available=False, said="The NVIDIA driver on your system is too old"),
            nvidia(),
            "the driver is too old for this build's CUDA 13.0",
            "whl/cu126   # or update the driver to 580",
        ),
        (
            torch(available=False, said="CUDA unknown error"),
            nvidia(),
            "finds no GPU, and the driver does",
            "cuda.init()",
        ),
        (
            torch(devices=[{"name": "Tesla V100", "capability": [7, 0]}]),
            nvidia(),
            "no code for Tesla V100 (`no kernel image is available`)",
            "whl/cu126",
        ),
        (
            torch(architectures=["sm_80", "sm_90"], devices=[{"name": "B200", "capability": [10, 0]}]),
            nvidia(),
            "no code for B200",
            "whl/cu130",
        ),
        (Probe("hung", {"status": -1}), nvidia(), "importing PyTorch does not end", "dmesg"),
        (
            Probe("crashed", {"status": 1}, "OSError: libcudart.so.12: cannot open shared object file"),
            Nvidia(),
            "PyTorch cannot be imported",
            "--force-reinstall",
        ),
    ],
)
def test_why_pytorch_finds_no_gpu_is_told_with_what_to_type(probe, facts, what, remedy):
    one = only(pytorch.judge(pytorch.Facts(probe, facts)))
    assert one.severity == "error"
    assert what in one.what
    assert remedy in one.remedy


def test_pytorch_is_not_blamed_for_a_driver_that_finds_nothing():
    one = only(pytorch.judge(pytorch.Facts(torch(available=False, said="no CUDA-capable device"), failing(802))))
    assert one.severity == "warning"
    assert "see `driver`" in one.what


@pytest.mark.parametrize(
    ("capability", "built", "works"),
    [
        ((8, 6), ["sm_80"], True),
        ((8, 0), ["sm_86"], False),
        ((9, 0), ["sm_80", "sm_86"], False),
        ((9, 0), ["sm_80", "compute_80"], True),
        ((9, 0), ["sm_90a"], True),
        ((10, 3), ["sm_100a"], False),
        ((10, 3), ["sm_100f"], True),
        ((7, 0), ["compute_75"], False),
        ((9, 0), ["gfx942"], False),
        ((9, 0), [], False),
    ],
)
def test_which_architectures_run_on_a_gpu(capability, built, works):
    assert pytorch.runs(capability, built) is works


def ort(**changes: object) -> Probe:
    told = {
        "version": "1.23.0",
        "cuda": "12.8",
        "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"],
        "packages": ["onnxruntime-gpu"],
        "said": "",
    }
    return Probe("found", {**told, **changes})


PLAIN = {"providers": ["CPUExecutionProvider"], "packages": ["onnxruntime"], "cuda": ""}


@pytest.mark.parametrize(
    ("probe", "facts"), [(Probe("absent", {}), nvidia()), (ort(), nvidia()), (ort(**PLAIN), Nvidia())]
)
def test_onnx_runtime_that_can_use_what_there_is_is_fine(probe, facts):
    assert only(onnxruntime.judge(onnxruntime.Facts(probe, facts))).severity == "ok"


@pytest.mark.parametrize(
    ("probe", "facts", "what", "remedy"),
    [
        (ort(packages=["onnxruntime", "onnxruntime-gpu"]), Nvidia(), "write over each other's files", "pip uninstall"),
        (ort(**PLAIN), nvidia(), "for processors only", "onnxruntime-gpu[cuda,cudnn]"),
        (ort(cuda="13.0"), nvidia(), "too old for this package's CUDA 13.0", "update the driver"),
        (ort(said="libcublasLt.so.12: cannot open shared object file"), nvidia(), "does not find its", "[cuda,cudnn]"),
        (Probe("crashed", {"status": -4}, "Illegal instruction"), Nvidia(), "cannot be imported", "--force-reinstall"),
    ],
)
def test_why_onnx_runtime_has_no_gpu_is_told_with_what_to_type(probe, facts, what, remedy):
    one = only(onnxruntime.judge(onnxruntime.Facts(probe, facts)))
    assert one.severity == "error"
    assert what in one.what
    assert remedy in one.remedy


def engine(*, gpu: bool = False, specifications=(), toolkit: bool = False, name: str = "docker", **told: object):
    answer = Answer(0, json.dumps({"ServerVersion": "28.1.0", **told}))
    return containers.Facts(((name, answer),), tuple(specifications), toolkit, gpu, contained=False)


def test_an_engine_that_answers_is_fine():
    found = containers.judge(engine())
    assert [(one.severity, one.what) for one in found] == [("ok", "docker 28.1.0 answers")]
    assert only(containers.judge(containers.Facts((), (), toolkit=False, gpu=True, contained=True))).severity == "ok"


@pytest.mark.parametrize("facts", [{"Runtimes": {"nvidia": {}, "runc": {}}}, {"specifications": ("nvidia.yaml",)}])
def test_an_engine_that_hands_out_gpus_is_fine(facts):
    found = containers.judge(engine(gpu=True, **facts))
    assert [one.severity for one in found] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("facts", "what", "remedy"),
    [
        ({"Runtimes": {"runc": {}}}, "docker cannot hand GPUs", "container toolkit"),
        ({"Runtimes": {"runc": {}}, "toolkit": True}, "docker does not know NVIDIA's toolkit", "runtime configure"),
        ({"name": "podman", "toolkit": True}, "podman does not know NVIDIA's toolkit", "nvidia-ctk cdi generate"),
    ],
)
def test_an_engine_without_nvidias_toolkit_is_told_how_to_get_it(facts, what, remedy):
    found = containers.judge(engine(gpu=True, **facts))[-1]
    assert found.severity == "error"
    assert what in found.what
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("answer", "what", "remedy"),
    [
        (Answer(1, "permission denied while trying to connect to the docker API"), "may not use docker", "usermod -aG"),
        (Answer(1, "Cannot connect to the Docker daemon"), "does not answer", "systemctl enable --now docker"),
        (Answer(-1, ""), "does not answer", "systemctl"),
        (Answer(0, '{"ServerErrors": ["Cannot connect to the Docker daemon"]}'), "does not answer", "systemctl"),
    ],
)
def test_an_engine_out_of_reach_is_told_why(answer, what, remedy):
    one = only(containers.judge(containers.Facts((("docker", answer),), (), toolkit=False, gpu=False, contained=False)))
    assert one.severity == "warning"
    assert what in one.what
    assert remedy in one.remedy
