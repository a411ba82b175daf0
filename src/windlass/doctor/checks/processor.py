"""The processor: which precision pays on it, with which engine."""

from dataclasses import dataclass

from windlass.doctor.diagnosis import Diagnosis
from windlass.doctor.machine import Machine

NAME = "processor"
LOOKS_AT = "the processor's instructions (AVX2, AVX-512, VNNI, AMX; on ARM i8mm and bf16), and which precision pays"

_INT8 = {
    "amx_int8": "AMX multiplies int8 in tiles: OpenVINO and ONNX Runtime gain most",
    "avx512_vnni": "VNNI multiplies int8 in 512 bits: OpenVINO and ONNX Runtime gain",
    "avx_vnni": "VNNI multiplies int8 in 256 bits: OpenVINO and ONNX Runtime gain",
    "i8mm": "i8mm multiplies int8 in blocks: ONNX Runtime gains",
    "asimddp": "dot products of int8: ONNX Runtime gains some",
}
_OPENVINO = "OpenVINO with `INFERENCE_PRECISION_HINT: bf16`"
_BF16 = {
    "amx_bf16": f"AMX multiplies bf16 in tiles: {_OPENVINO}, PyTorch with a bf16 module",
    "avx512_bf16": f"dot products of bf16: {_OPENVINO} gains some",
    "bf16": "bf16 in blocks: PyTorch with a bf16 module gains",
}
_FP32 = ("avx512f", "avx2", "sve", "asimd")
_QUANTIZE = "int8 halves to quarters a model's memory all the same"


@dataclass(frozen=True, slots=True)
class Facts:
    """The processor's name and what it can do, in the kernel's words; and the machine's kind."""

    name: str
    flags: frozenset[str]


def gather(machine: Machine) -> Facts:
    """Read what the kernel knows."""
    return read(machine.text("proc/cpuinfo") or "")


def read(text: str) -> Facts:
    """Take the first processor of ``/proc/cpuinfo``; Intel's and AMD's say ``flags``, ARM's ``Features``."""
    first = text.strip().split("\n\n")[0]
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    name = told.get("model name") or told.get("CPU implementer", "unknown")
    return Facts(name, frozenset((told.get("flags") or told.get("Features") or "").split()))


def judge(facts: Facts) -> list[Diagnosis]:
    """Tell for each precision whether it pays."""
    if not facts.flags:
        return [Diagnosis(NAME, "note", "the processor's instructions are not known", facts.name)]
    return [_fp32(facts), _paying("bf16", _BF16, facts), _paying("int8", _INT8, facts)]


def _fp32(facts: Facts) -> Diagnosis:
    best = next((flag for flag in _FP32 if flag in facts.flags), None)
    if best is None:
        return Diagnosis(
            NAME,
            "warning",
            "the processor has no AVX2: frameworks are slow here, and some packages crash (`Illegal instruction`)",
            facts.name,
            "let the virtual machine pass the host's processor through (`-cpu host`), or use another machine",
        )
    return Diagnosis(NAME, "ok", f"fp32 has {best.upper()}", facts.name)


def _paying(precision: str, ways: dict[str, str], facts: Facts) -> Diagnosis:
    found = [flag for flag in ways if flag in facts.flags]
    if found:
        return Diagnosis(NAME, "ok", f"{precision} pays: {ways[found[0]]}", " ".join(found))
    if precision == "int8":
        return Diagnosis(NAME, "note", "int8 hardly pays in speed: there is neither VNNI nor AMX", _QUANTIZE)
    return Diagnosis(
        NAME, "note", "bf16 does not pay: it is computed as fp32, with conversions", "neither AMX nor bf16"
    )
