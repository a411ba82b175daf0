"""ONNX, out of what PyTorch holds."""

from pathlib import Path
from typing import Any

from windlass.backends.backend import missing
from windlass.config import as_executed
from windlass.optimize.export.axes import open_axes
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
        names = {"input_names": list(program.shapes), "output_names": list(program.outputs)}
        written = torch_module().onnx.export(program.program, dynamo=True, verbose=False, **names)
        del program
        written.save(str(file), external_data=original.size_bytes > _BESIDE_BYTES)


def from_torchscript(original: Original, file: Path) -> None:
    """Write TorchScript as ONNX, by the exporter that reads TorchScript's own graphs and their control flow."""
    _require("onnx")
    with conversion(f"ONNX cannot hold `{original.source.text}`", HINT):
        script, given, named = traced(original), tensors(original), _names_and_axes(original)
        torch_module().onnx.export(script, given, str(file), dynamo=False, opset_version=_OPSET, **named)


def _names_and_axes(original: Original) -> dict[str, Any]:
    outputs = [output.name for output in as_executed(original.config).output]
    refuse_shared_names(original.example, outputs, "ONNX")
    axes = {
        name: {axis: f"{name}_{axis}" if axis or original.config.max_batch_size == 0 else "batch" for axis in found}
        for name, found in open_axes(original.config).items()
    }
    return {"input_names": list(original.example), "output_names": outputs, "dynamic_axes": axes}


def _require(module: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise missing(module, "export")
