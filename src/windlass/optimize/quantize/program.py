"""PyTorch's exported programs as modules that quantisers know, and back. To be called silently, see ``conversion``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from windlass.optimize.export.program import Program, torch_module
from windlass.optimize.quantize.given import Array


@dataclass(frozen=True, slots=True)
class Parts:
    """A program taken apart: its graph as a module, in which ``layers`` are modules by name, with their weights."""

    module: Any
    linear: tuple[str, ...]
    tables: tuple[str, ...]
    convolutions: int


def taken_apart(program: Program) -> Parts:
    """Make modules of what multiplies by weights or looks up in them: quantisers know those only."""
    torch = torch_module()
    aten, module = torch.ops.aten, program.program.module(check_guards=False)
    linear, tables = [], []
    for node in list(module.graph.nodes):
        if node.target is aten.linear.default and _is_weight(module, node.args[1]):
            linear.append(_put(module, node, _linear(module, node), node.args[0]))
        elif node.target is aten.embedding.default and _is_weight(module, node.args[0]):
            table = torch.nn.Embedding.from_pretrained(_weight(module, node.args[0]))
            tables.append(_put(module, node, table, node.args[1]))
    _drop_unused(module)
    return Parts(module, tuple(linear), tuple(tables), sum(1 for _ in _convolutions(module)))


def halve(program: Program, half: Any) -> Any:
    """Return a module that multiplies by its weights in halves, and does the rest as before."""
    torch = torch_module()
    aten, module = torch.ops.aten, program.program.module(check_guards=False)
    found = [node for node in module.graph.nodes if node.target is aten.linear.default]
    found += [node for node in module.graph.nodes if node.target is aten.embedding.default]
    for node in chain(found, list(_convolutions(module))):
        if node.target is aten.embedding.default:
            weights = [node.args[0]]
        else:
            weights = [weight for weight in node.args[1:3] if isinstance(weight, torch.fx.Node)]
        if all(_is_weight(module, weight) and _single(module, weight) for weight in weights):
            _cast_around(module, node, weights, half)
    _drop_unused(module)
    return module


def export_again(program: Program, module: Any, file: Path) -> None:
    """Write a module that was made of a program as one; what was open stays open.

    Who reads it need not have torchao.
    """
    torch = torch_module()
    given, axes = _example(program)
    positional = program.program.call_spec.in_spec.children_specs[0].num_children
    arguments = tuple(given[name] for name in list(given)[:positional])
    by_name = {name: given[name] for name in list(given)[positional:]}
    made = torch.export.export(module, arguments, by_name, dynamic_shapes=axes)
    torch.export.save(_without_torchao(made), str(file))


def as_tensor(array: Array) -> Any:
    """Return an array as PyTorch takes it; of bfloat16, which numpy does not know, the bits are handed over."""
    torch = torch_module()
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view("int16").copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def _linear(module: Any, node: Any) -> Any:
    torch = torch_module()
    weight = _weight(module, node.args[1])
    bias = node.args[2] if len(node.args) > 2 else None
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = torch.nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        layer.bias = torch.nn.Parameter(_weight(module, bias), requires_grad=False)
    return layer


def _put(module: Any, node: Any, layer: Any, given: Any) -> str:
    """Put a module in the place of an operator."""
    name = f"layer_{node.name}"
    module.add_submodule(name, layer)
    with module.graph.inserting_before(node):
        node.replace_all_uses_with(module.graph.call_module(name, (given,)))
    module.graph.erase_node(node)
    return name


def _convolutions(module: Any) -> Iterator[Any]:
    aten = torch_module().ops.aten
    kinds = {aten.conv1d.default, aten.conv2d.default, aten.conv3d.default, aten.convolution.default}
    kinds |= {aten.conv1d.padding, aten.conv2d.padding, aten.conv3d.padding}
    return (node for node in module.graph.nodes if node.target in kinds)


def _cast_around(module: Any, node: Any, weights: Sequence[Any], half: Any) -> None:
    torch, graph = torch_module(), module.graph
    to = torch.ops.aten.to.dtype
    halves = {weight: _half(module, weight, half) for weight in weights}
    with graph.inserting_before(node):
        taken = {weight: graph.get_attr(name) for weight, name in halves.items()}
        if node.target is not torch.ops.aten.embedding.default:
            taken[node.args[0]] = graph.call_function(to, (node.args[0], half))
    node.args = tuple(taken.get(given, given) if isinstance(given, torch.fx.Node) else given for given in node.args)
    with graph.inserting_after(node):
        back = graph.call_function(to, (node, torch.float32))
    node.replace_all_uses_with(back, delete_user_cb=lambda user: user is not back)


def _half(module: Any, weight: Any, half: Any) -> str:
    """Keep a weight in halves under a name of its own, once for all who use it."""
    torch = torch_module()
    name = f"half_{weight.target.replace('.', '_')}"
    if not hasattr(module, name):
        values = _weight(module, weight).to(half)
        module.register_parameter(name, torch.nn.Parameter(values, requires_grad=False))
    return name


def _is_weight(module: Any, node: Any) -> bool:
    return getattr(node, "op", "") == "get_attr" and isinstance(_found(module, node.target), torch_module().Tensor)


def _single(module: Any, node: Any) -> bool:
    return bool(_found(module, node.target).dtype == torch_module().float32)


def _weight(module: Any, node: Any) -> Any:
    return _found(module, node.target).detach()


def _found(module: Any, target: str) -> Any:
    for part in target.split("."):
        module = getattr(module, part)
    return module


def _drop_unused(module: Any) -> None:
    """Leave only the weights that the graph still uses: all there are would be written."""
    module.graph.eliminate_dead_code()
    used = {node.target for node in module.graph.nodes if node.op in {"get_attr", "call_module"}}
    for name in [name for name, _ in chain(module.named_parameters(), module.named_buffers())]:
        if not any(name == kept or name.startswith(f"{kept}.") for kept in used):
            owner, _, last = name.rpartition(".")
            delattr(module.get_submodule(owner), last)
    module.graph.lint()
    module.recompile()


def _example(program: Program) -> tuple[dict[str, Any], dict[str, dict[int, Any]]]:
    """Return tensors to export with, whose open sizes are all different, and which of them are open."""
    torch = torch_module()
    nodes = {node.name: node.meta["val"] for node in program.program.graph.nodes if node.op == "placeholder"}
    values = [nodes[name] for name in program.program.graph_signature.user_inputs]
    sizes: dict[Any, int] = {}
    for size in (size for value in values for size in value.shape if not isinstance(size, int)):
        for symbol in sorted(size.node.expr.free_symbols, key=str):
            limits = program.program.range_constraints.get(symbol)
            # One is often a special case.
            lowest = 2 if limits is None else max(2, int(limits.lower))
            highest = lowest + len(sizes) if limits is None or limits.upper > 1 << 30 else int(limits.upper)
            sizes.setdefault(symbol, min(lowest + len(sizes), highest))
    given, axes = {}, {}
    for name, value in zip(program.shapes, values, strict=True):
        shape = [size if isinstance(size, int) else int(size.node.expr.subs(sizes)) for size in value.shape]
        given[name] = torch.ones(shape, dtype=value.dtype)
        axes[name] = {axis: torch.export.Dim.AUTO for axis, size in enumerate(value.shape) if not isinstance(size, int)}
    return given, axes


def _without_torchao(program: Any) -> Any:
    """Write torchao's own operators out: who serves the file need not have it."""
    foreign = {node.target for node in program.graph.nodes if str(node.target).startswith("torchao.")}
    if not foreign:
        return program
    from torch._inductor.decomposition import decompositions

    return program.run_decompositions({operator: decompositions[operator] for operator in foreign})
