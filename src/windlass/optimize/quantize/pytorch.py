"""PyTorch: torchao's quantisers for the linear layers of an exported program, which is then exported again.

torchao knows linear layers and tables. Convolutions stay as they are; OpenVINO and ONNX Runtime quantise those.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from windlass.backends.backend import missing
from windlass.errors import ConversionError
from windlass.optimize.export.program import Program, read_program, torch_module
from windlass.optimize.quantize.given import Given, Made
from windlass.optimize.quantize.processor import saturates
from windlass.optimize.quantize.program import Parts, as_tensor, export_again, halve, taken_apart
from windlass.optimize.quiet import conversion

FILE = "model.pt2"
_LARGEST = 127


def fp16(given: Given, folder: Path) -> Made:
    """Multiply by weights in halves."""
    return _halved(given, folder, "float16")


def bf16(given: Given, folder: Path) -> Made:
    """Multiply by weights in bfloat16."""
    return _halved(given, folder, "bfloat16")


def _halved(given: Given, folder: Path, name: str) -> Made:
    with conversion(f"PyTorch cannot hold `{given.source.text}` in {name}", _hint(given)):
        program = read_program(given.file)
        export_again(program, halve(program, getattr(torch_module(), name)), folder / FILE)
    return Made(f"PyTorch, weights and products in {name}", FILE)


def int8_dynamic(given: Given, folder: Path) -> Made:
    """Quantise the weights of linear layers; ranges of what they are given are found as it goes."""
    _require_torchao()
    with conversion(f"torchao cannot quantise `{given.source.text}`", _hint(given)):
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

        program = read_program(given.file)
        parts = _parts(given, program)
        wanted = Int8DynamicActivationInt8WeightConfig(set_inductor_config=False, reduce_range=saturates())
        quantize_(parts.module, wanted)
        _quantise_tables(parts)
        export_again(program, parts.module, folder / FILE)
    return Made("torchao's dynamic quantisation of linear layers", FILE, notes=_notes(parts))


def int8(given: Given, folder: Path) -> Made:
    """Quantise linear layers with ranges read off the calibration data."""
    _require_torchao()
    with conversion(f"torchao cannot quantise `{given.source.text}`", _hint(given)):
        program = read_program(given.file)
        parts = _parts(given, program)
        for name, (largest, dimensions) in _ranges(given, program, parts).items():
            _quantise_statically(parts.module.get_submodule(name), largest, dimensions)
        _quantise_tables(parts)
        export_again(program, parts.module, folder / FILE)
    return Made("torchao's static quantisation of linear layers", FILE, notes=_notes(parts))


def _parts(given: Given, program: Program) -> Parts:
    parts = taken_apart(program)
    if not parts.linear:
        found = f"{parts.convolutions} convolutions" if parts.convolutions else "no weights of either kind"
        raise ConversionError(
            f"`{given.source.text}` has no linear layer, and torchao quantises no other",
            where=str(given.file),
            found=found,
            hint=_hint(given),
        )
    return parts


def _ranges(given: Given, program: Program, parts: Parts) -> dict[str, tuple[float, int]]:
    """Return the largest value that each layer is given, and how many dimensions that has."""
    found: dict[str, tuple[float, int]] = {}

    def see(name: str, inputs: Sequence[Any]) -> None:
        largest = max(found.get(name, (0.0, 0))[0], float(inputs[0].abs().max()))
        found[name] = (largest, inputs[0].ndim)

    hooks = [
        parts.module.get_submodule(name).register_forward_pre_hook(lambda _layer, inputs, name=name: see(name, inputs))
        for name in parts.linear
    ]
    ranks = {name: len(shape) for name, shape in program.shapes.items()}
    positional = program.program.call_spec.in_spec.children_specs[0].num_children
    with torch_module().no_grad():
        for request in given.requests(ranks):
            tensors = {name: as_tensor(request[name]) for name in program.shapes}
            arguments = list(tensors.values())[:positional]
            parts.module(*arguments, **{name: tensors[name] for name in list(tensors)[positional:]})
    for hook in hooks:
        hook.remove()
    return found


def _quantise_statically(layer: Any, largest: float, dimensions: int) -> None:
    from torchao.quantization import Int8StaticActivationInt8WeightConfig, PerRow, PerTensor, quantize_

    scale = torch_module().full([1] * dimensions, max(largest, 1e-6) / _LARGEST)
    wanted = Int8StaticActivationInt8WeightConfig(
        act_quant_scale=scale,
        granularity=[PerTensor(), PerRow()],
        set_inductor_config=False,
        reduce_range=saturates(),
    )
    quantize_(layer, wanted)


def _quantise_tables(parts: Parts) -> None:
    """Keep tables in 8 bits, of which only the rows that are looked up are made floats again."""
    torch = torch_module()
    from torchao.quantization import Int8Tensor, PerRow

    class Table(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, weight: Any) -> None:
            super().__init__()
            small = Int8Tensor.from_hp(weight, granularity=PerRow())
            self.register_buffer("rows", small.qdata)
            self.register_buffer("scales", small.scale)

        def forward(self, places: Any) -> Any:
            embedding = torch.nn.functional.embedding
            return embedding(places, self.rows).to(self.scales.dtype) * embedding(places, self.scales)

    for name in parts.tables:
        setattr(parts.module, name, Table(parts.module.get_submodule(name).weight.detach()))


def _notes(parts: Parts) -> tuple[str, ...]:
    if not parts.convolutions:
        return ()
    return (f"{parts.convolutions} convolutions stay as they were: torchao quantises linear layers and tables",)


def _hint(given: Given) -> str:
    return f"`windlass export {given.source.text} --to openvino` (or `onnx`), then quantise that version"


def _require_torchao() -> None:
    from importlib.util import find_spec

    if find_spec("torchao") is None:
        raise missing("torchao", "quantize")
