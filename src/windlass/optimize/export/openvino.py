"""OpenVINO IR, out of every format that OpenVINO reads."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from windlass.backends.openvino import library
from windlass.config import as_executed
from windlass.config.datatypes import BY_NUMBER
from windlass.errors import ConversionError
from windlass.optimize.export.axes import shapes
from windlass.optimize.export.original import Original
from windlass.optimize.export.program import read_program, refuse_shared_names, traced
from windlass.optimize.export.pt2 import program_of
from windlass.optimize.export.torchscript import scripted
from windlass.optimize.quiet import conversion


def from_pt2(original: Original, file: Path) -> None:
    """Write an exported program as IR: from its own graph, or else by way of TorchScript."""
    openvino = library()
    with _conversion(original):
        program = read_program(original.file)
        refuse_shared_names(program.shapes, program.outputs, "OpenVINO")
        model = _first(
            lambda: openvino.convert_model(program.program),
            lambda: _of_script(scripted(program), program.shapes, original),
        )
        _write(model, program.shapes, program.outputs, file)


def from_torchscript(original: Original, file: Path) -> None:
    """Write TorchScript as IR: from its own graph, or else by way of an exported program."""
    openvino = library()
    outputs = [output.name for output in as_executed(original.config).output]
    refuse_shared_names(original.example, outputs, "OpenVINO")
    with _conversion(original):
        model = _first(
            lambda: _of_script(traced(original), shapes(original.config), original),
            lambda: openvino.convert_model(program_of(original)),
        )
        _write(model, shapes(original.config), outputs, file)


def _first(way: Callable[[], Any], other: Callable[[], Any]) -> Any:
    """Go one way, or else the other; where neither leads there, what stood in the first one tells most."""
    try:
        return way()
    except Exception as error:
        try:
            return other()
        except Exception:
            raise error from None


def _of_script(script: Any, inputs: Mapping[str, Sequence[int]], original: Original) -> Any:
    openvino = library()
    types = {tensor.name: tensor.data_type for tensor in as_executed(original.config).input}
    declared = [(openvino.PartialShape(list(shape)), _type(types[name])) for name, shape in inputs.items()]
    return openvino.convert_model(script, input=declared)


def from_onnx(original: Original, file: Path) -> None:
    """Write ONNX as IR; names are kept as they are."""
    openvino = library()
    with _conversion(original):
        openvino.save_model(openvino.convert_model(str(original.file)), str(file), compress_to_fp16=False)


def _conversion(original: Original) -> Any:
    elsewhere = "" if original.format == "onnx" else ", or export it to `onnx`"
    return conversion(f"OpenVINO cannot hold `{original.source.text}`", f"serve it as it is{elsewhere}")


def _write(model: Any, inputs: Mapping[str, Sequence[int]], outputs: Sequence[str], file: Path) -> None:
    """Give inputs and outputs their names and sizes, and write the file."""
    openvino = library()
    if len(model.inputs) != len(inputs):
        raise ConversionError(f"OpenVINO leaves {len(model.inputs)} of {len(inputs)} inputs: the others decide nothing")
    for port, name in zip(model.inputs, inputs, strict=True):
        port.get_tensor().set_names({name})
    model.reshape({index: openvino.PartialShape(list(shape)) for index, shape in enumerate(inputs.values())})
    _name_outputs(model, outputs)
    openvino.save_model(model, str(file), compress_to_fp16=False)


def _name_outputs(model: Any, outputs: Sequence[str]) -> None:
    """A tensor has one name: an output that is also an input, or another output, gets a tensor of its own."""
    operators = library().opset13
    taken = {_place(port) for port in model.inputs}
    for result in model.get_results():
        value = result.input_value(0)
        if _place(value) in taken:
            copied = operators.reshape(value, operators.shape_of(value), special_zero=False)
            value = copied.output(0)
            result.input(0).replace_source_output(value)
        taken.add(_place(value))
    model.validate_nodes_and_infer_types()
    for port, name in zip(model.outputs, outputs, strict=True):
        port.get_tensor().set_names({name})


def _place(port: Any) -> tuple[str, int]:
    return port.get_node().get_name(), port.get_index()


@cache
def _type(number: int) -> Any:
    types = library().Type
    wire = BY_NUMBER[number].wire
    return {"BOOL": types.boolean, "BF16": types.bf16}.get(wire) or types(BY_NUMBER[number].numpy)
