"""ONNX Runtime: whether the package that is installed has a CUDA provider, and whether that finds its libraries."""

from dataclasses import dataclass

from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Machine, Probe
from windlass.doctor.nvidia import Nvidia, look, shown, version_of

NAME = "onnxruntime"
LOOKS_AT = "ONNX Runtime: one package of it, with a CUDA provider where there is a GPU, whose libraries are found"

_GPU_PACKAGE = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'onnxruntime-gpu[cuda,cudnn]'"


@dataclass(frozen=True, slots=True)
class Facts:
    """What ONNX Runtime says of itself, beside what is known of the GPUs."""

    probe: Probe
    nvidia: Nvidia


def gather(machine: Machine) -> Facts:
    """Import ONNX Runtime in a process of its own."""
    return Facts(machine.probe("onnxruntime"), look(machine))


def judge(facts: Facts) -> list[Diagnosis]:
    """Tell what ONNX Runtime can use."""
    probe = facts.probe
    if probe.state == "absent":
        return [Diagnosis(NAME, "ok", "ONNX Runtime is not installed")]
    if probe.state != "found":
        last = probe.said.strip().splitlines()[-1:] or [probe.state]
        return [_error("ONNX Runtime cannot be imported", last[0], "pip install --force-reinstall onnxruntime")]
    version = f"ONNX Runtime {probe.facts['version']}"
    packages = [str(name) for name in probe.facts["packages"]]
    if {"onnxruntime", "onnxruntime-gpu"} <= set(packages):
        found = f"{version}; installed: {', '.join(packages)}"
        return [_error("two packages of ONNX Runtime write over each other's files", found, _GPU_PACKAGE)]
    if not facts.nvidia.present:
        return [Diagnosis(NAME, "ok", f"{version} runs on the processor", _providers(probe))]
    return [_on_gpu(facts, version)]


def _on_gpu(facts: Facts, version: str) -> Diagnosis:
    probe = facts.probe
    if "CUDAExecutionProvider" not in probe.facts["providers"]:
        found = f"{version}: {_providers(probe)}"
        return _error("this package of ONNX Runtime is for processors only", found, _GPU_PACKAGE)
    build, speaks = version_of(str(probe.facts["cuda"])), facts.nvidia.speaks
    if build and speaks and build[0] > speaks[0]:
        return _error(
            f"the driver is too old for this package's CUDA {shown(build)}",
            f"{version}; driver {facts.nvidia.driver} knows CUDA {shown(speaks)}",
            "update the driver, or install ONNX Runtime for that CUDA: https://onnxruntime.ai/docs/install",
        )
    if probe.facts["said"]:
        return _error("the CUDA provider does not find its libraries", str(probe.facts["said"]), _GPU_PACKAGE)
    return Diagnosis(NAME, "ok", f"{version} has a CUDA provider, whose libraries are found", _providers(probe))


def _providers(probe: Probe) -> str:
    return ", ".join(str(name).removesuffix("ExecutionProvider") for name in probe.facts["providers"])


def _error(what: str, found: str, remedy: str) -> Diagnosis:
    return Diagnosis(NAME, "error", what, found, remedy)
