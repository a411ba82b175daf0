"""Which engines and precisions a machine and a model allow, in the order of what they promise."""

from collections.abc import Iterator
from dataclasses import dataclass

from windlass.optimize.tune.space.candidate import ORIGINAL, Artefact, Step, Variant
from windlass.optimize.tune.space.machine import Machine

# What engines are given: the step that makes their file of another engine's.
EXPORTS = {"openvino": "openvino", "onnxruntime": "onnx", "pytorch": "pt2"}
# What packages have to be there for a file to be quantised, by engine.
QUANTIZERS = {"openvino": "nncf", "onnxruntime": "onnx", "pytorch": "torchao"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What of the model bounds the space; ``max_batch_size`` is 0 where it has no batch."""

    engine: str
    max_batch_size: int

    @property
    def exportable(self) -> bool:
        """Whether there is a graph to write in another format."""
        return self.engine in EXPORTS


@dataclass(frozen=True, slots=True)
class Unfit:
    """What is left out, and why: for the report."""

    name: str
    reason: str


def variants(machine: Machine, subject: Subject) -> tuple[tuple[Variant, ...], tuple[Unfit, ...]]:
    """Return what is tried, the most promising first, and what is not.

    The original stands at the head: everything is compared with it. PyTorch models are not exported to other forms of
    PyTorch: they compute alike.
    """
    head = Variant(subject.engine, ORIGINAL)
    found, unfit = [head], []
    for candidate in _all(machine, subject) if subject.exportable else ():
        reason = _unfit(candidate, machine)
        if reason:
            unfit.append(Unfit(candidate.name, reason))
        elif candidate not in found:
            found.append(candidate)
    return tuple(found), tuple(unfit)


def _all(machine: Machine, subject: Subject) -> Iterator[Variant]:
    yield from _gpu(subject)
    half = machine.half
    openvino, onnx = _file("openvino", subject), _file("onnxruntime", subject)
    # The cheapest to make comes before its relatives; what promises most comes first.
    yield Variant("openvino", openvino, half or "bf16")
    yield Variant("openvino", _quantized(openvino, "int8"), half)
    yield Variant("onnxruntime", _quantized(onnx, "int8-dynamic"))
    yield Variant("openvino", openvino)
    yield Variant("onnxruntime", onnx)
    yield Variant("openvino", _quantized(openvino, "int8"))
    yield Variant("onnxruntime", _quantized(onnx, "int8"))
    if subject.engine == "pytorch":
        yield Variant("pytorch", _quantized(ORIGINAL, "bf16"))
        yield Variant("pytorch", _quantized(ORIGINAL, "int8-dynamic"))


def _gpu(subject: Subject) -> Iterator[Variant]:
    onnx = _file("onnxruntime", subject)
    yield Variant("onnxruntime", onnx, "fp16", "tensorrt")
    yield Variant("onnxruntime", _quantized(onnx, "fp16"), "", "cuda")
    yield Variant("onnxruntime", onnx, "", "cuda")
    if subject.engine == "pytorch":
        yield Variant("pytorch", _quantized(ORIGINAL, "bf16"), "", "cuda")
        yield Variant("pytorch", _quantized(ORIGINAL, "fp16"), "", "cuda")
        yield Variant("pytorch", ORIGINAL, "", "cuda")


def _file(engine: str, subject: Subject) -> Artefact:
    return ORIGINAL if subject.engine == engine else Artefact((Step("export", EXPORTS[engine]),))


def _quantized(artefact: Artefact, to: str) -> Artefact:
    return Artefact((*artefact.steps, Step("quantize", to)))


def _unfit(variant: Variant, machine: Machine) -> str:
    if variant.engine not in machine.engines:
        return f"`{variant.engine}` is not installed: pip install 'windlass[{_EXTRAS[variant.engine]}]'"
    if variant.device != "cpu":
        return _unfit_device(variant, machine)
    if variant.compute and variant.compute != machine.half:
        return f"this processor has no {variant.compute} arithmetic (AMX or AVX-512)"
    quantizer = QUANTIZERS[variant.engine]
    if variant.artefact.quantized.startswith("int8") and quantizer not in machine.tools:
        return f"`{quantizer}` is not installed, which quantises for {variant.engine}: pip install 'windlass[quantize]'"
    if variant.engine == "pytorch" and variant.artefact.quantized == "bf16" and machine.half != "bf16":
        return "this processor has no bf16 arithmetic (AMX or AVX-512)"
    return ""


_EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino", "pytorch": "torch"}
_PROVIDERS = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}


def _unfit_device(variant: Variant, machine: Machine) -> str:
    if not machine.gpus:
        return "this machine has no GPU"
    if variant.engine == "onnxruntime" and _PROVIDERS[variant.device] not in machine.providers:
        return f"this ONNX Runtime has no {_PROVIDERS[variant.device]}: pip install onnxruntime-gpu"
    return ""
