"""Exported programs and TorchScript as their files hold them: read, looked through, and taken apart.

Whoever calls is within ``conversion()``: what PyTorch raises and prints is dealt with there.
"""

import inspect
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windlass.backends.backend import missing
from windlass.backends.binding import Binding, Forward
from windlass.config import as_executed
from windlass.errors import ConversionError
from windlass.optimize.export.original import Original

# Arguments of operators by which a model is told to train.
_TRAINING = {"train", "training"}


@dataclass(frozen=True, slots=True)
class Program:
    """An exported program: its inputs by name with their sizes (-1: open), and its outputs by name."""

    program: Any
    shapes: dict[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    returns_dictionary: bool


def torch_module() -> Any:
    """Return PyTorch. Raises ``BackendError`` where it is not installed."""
    try:
        import torch
    except ImportError:
        raise missing("torch", "torch") from None
    return torch


def read_program(file: Path) -> Program:
    """Read an exported program. Raises ``ConversionError`` for one that was exported while it was training."""
    program = torch_module().export.load(str(file))
    _refuse_training(_operators(program), file)
    positional, by_name = program.call_spec.in_spec.children_specs
    arguments = list(inspect.signature(program.module(check_guards=False).forward).parameters)
    names = (*arguments[: positional.num_children], *(by_name.context or ()))
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    shapes = {
        name: tuple(size if isinstance(size, int) else -1 for size in values[node].shape)
        for name, node in zip(names, program.graph_signature.user_inputs, strict=True)
    }
    count, spec = len(program.graph_signature.user_outputs), program.call_spec.out_spec
    keyed = spec.type is dict
    outputs = tuple(map(str, spec.context)) if keyed else tuple(f"output__{index}" for index in range(count))
    return Program(program, shapes, outputs, keyed)


def _operators(program: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if node.op == "call_function" and schema is not None:
            names = [argument.name for argument in schema.arguments]
            yield schema.name, {**dict(zip(names, node.args, strict=False)), **node.kwargs}


def _refuse_training(operators: Iterator[tuple[str, dict[str, Any]]], file: Path) -> None:
    found = sorted({name for name, given in operators if any(given.get(flag) is True for flag in _TRAINING)})
    if found:
        raise ConversionError(
            f"`{file}` was made while the model was training: {', '.join(found)} in it still do",
            hint="call `module.eval()` before exporting it, and add it again",
        )


def read_script(file: Path) -> Any:
    """Read TorchScript, in eval mode. Raises ``ConversionError`` for what was traced while it was training."""
    script = torch_module().jit.load(str(file), map_location="cpu").eval()
    _refuse_training(_script_operators(script), file)
    return script


def _script_operators(script: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in ("aten::batch_norm", "aten::dropout", "aten::feature_dropout", "aten::lstm"):
        for node in script.inlined_graph.findAllNodes(kind):
            flags = [given.toIValue() for given in node.inputs() if given.type().kind() == "BoolType"]
            # The flag of batch_norm and dropout is the first of its kind; lstm tells first whether it has biases.
            place = 1 if kind == "aten::lstm" else 0
            yield kind, {"training": flags[place] if len(flags) > place else None}


def _adapted(script: Any, original: Original) -> Any:
    """Return a module that takes the inputs of the configuration in order, and returns its outputs in order."""
    torch = torch_module()
    arguments = [argument for argument in script.forward.schema.arguments if argument.name != "self"]
    dictionary = len(arguments) == 1 and arguments[0].type.kind() == "DictType"
    forward = Forward(tuple(argument.name for argument in arguments), takes_dictionary=dictionary)
    binding = Binding(original.config, forward)
    names = list(original.example)
    outputs = [output.name for output in as_executed(original.config).output]

    class Adapted(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.inner = script

        def forward(self, *given: Any) -> tuple[Any, ...]:
            result = binding.call(self.inner, dict(zip(names, given, strict=True)))
            found = binding.outputs(result)
            return tuple(found[name] for name in outputs)

    return Adapted().eval()


def traced(original: Original) -> Any:
    """Return TorchScript that takes and returns tensors in order. Its own graph stays, with control flow and sizes."""
    given = tensors(original)
    return torch_module().jit.trace(_adapted(read_script(original.file), original), given, check_trace=False)


def tensors(original: Original) -> tuple[Any, ...]:
    """Return the example as PyTorch takes it, in the order of the configuration."""
    torch = torch_module()
    found = []
    for array in original.example.values():
        if array.dtype.kind == "O":
            raise ConversionError("models that take strings are not exported", hint="serve it as it is")
        # Of bfloat16, which numpy does not know, the bits are handed over.
        bits = array.view("int16") if array.dtype.name == "bfloat16" else array
        tensor = torch.from_numpy(bits.copy())
        found.append(tensor.view(torch.bfloat16) if bits is not array else tensor)
    return tuple(found)


def refuse_shared_names(inputs: Collection[str], outputs: Collection[str], to: str) -> None:
    """Raise ``ConversionError`` where an input and an output have one name: graphs of other formats have one space."""
    if shared := [name for name in outputs if name in inputs]:
        raise ConversionError(
            f"an input and an output are both called `{shared[0]}`, which {to} cannot tell apart",
            hint=f"rename one of them in the model, or export it to `torchscript`, where `{shared[0]}` may be both",
        )


def plain(program: Program) -> Any:
    """Return a module of the program's operators and weights alone: tensors in, tensors out, sizes as they come.

    It has no guards, and no structure around its inputs and outputs but a dictionary where there was one.
    """
    torch = torch_module()
    module = program.program.module(check_guards=False)
    graph = module.graph
    aten = torch.ops.aten
    checks = {aten._assert_tensor_metadata.default, aten._assert_scalar.default}
    checks |= {aten.sym_constrain_range.default, aten.sym_constrain_range_for_size.default}
    names = iter(program.shapes)
    for node in list(graph.nodes):
        if node.op == "placeholder":
            node.target = next(names)
        elif node.op == "output" and program.returns_dictionary:
            node.args = (dict(zip(program.outputs, node.args[0], strict=True)),)
        elif node.op == "call_function" and node.target in checks:
            graph.erase_node(node)
        elif node.op == "call_function" and node.target is aten.sym_size.int:
            node.target = aten.size
    graph.set_codegen(torch.fx.graph.CodeGen())
    graph.eliminate_dead_code()
    return torch.fx.GraphModule(module, graph)
