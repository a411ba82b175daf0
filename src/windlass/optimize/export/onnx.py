"""ONNX, out of what PyTorch holds."""

from collections.abc import Mapping
from pathlib import Path

from windlass.backends.backend import missing
from windlass.config import as_executed
from windlass.optimize.export.axes import open_axes
from windlass.optimize.export.naming import rename, stand_ins
from windlass.optimize.export.original import Original
from windlass.optimize.export.program import (
    read_program,
    refuse_shared_names,
    tensors,
    torch_module,
    traced,
)
from windlass.optimize.quiet import conversion

HINT = "serve it as it is, or export it to `openvino`"

# Above this, weights lie in a file beside the model's: they are then written, and read, without a copy in memory.
_BESIDE_BYTES = 512 << 20
_OPSET = 20


def from_pt2(original: Original, file: Path) -> None:
    """Write an exported program as ONNX; open axes stay open."""
    _require("onnxscript")
    with conversion(f"ONNX cannot hold `{original.source.text}`", HINT):
        program = read_program(original.file)
        refuse_shared_names(program.shapes, program.outputs, "ONNX")
        inputs, outputs = stand_ins("input", program.shapes), stand_ins("output", program.outputs)
        names = {"input_names": list(inputs), "output_names": list(outputs)}
        written = torch_module().onnx.export(program.program, dynamo=True, verbose=False, **names)
        del program
        written.save(str(file), external_data=original.size_bytes > _BESIDE_BYTES)
        del written
        rename(file, {**inputs, **outputs})


def from_torchscript(original: Original, file: Path) -> None:
    """Write TorchScript as ONNX, by the exporter that reads TorchScript's own graphs and their control flow."""
    _require("onnx")
    with conversion(f"ONNX cannot hold `{original.source.text}`", HINT):
        called = [output.name for output in as_executed(original.config).output]
        refuse_shared_names(original.example, called, "ONNX")
        inputs, outputs = stand_ins("input", original.example), stand_ins("output", called)
        names = {"input_names": list(inputs), "output_names": list(outputs)}
        named = {**names, "dynamic_axes": _axes(original, {**inputs, **outputs})}
        script, given = traced(original), tensors(original)
        torch_module().onnx.export(script, given, str(file), dynamo=False, opset_version=_OPSET, **named)
        rename(file, {**inputs, **outputs})


def _axes(original: Original, names: Mapping[str, str]) -> dict[str, dict[int, str]]:
    found, batched = open_axes(original.config), original.config.max_batch_size > 0
    return {
        stand_in: {axis: "batch" if batched and not axis else f"{name}_{axis}" for axis in found[name]}
        for stand_in, name in names.items()
    }


def _require(module: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise missing(module, "export")
