"""What the graph of a TorchScript file lets one infer of its inputs: the operator that meets weights first tells."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from windlass.backends.signature import TensorSignature
from windlass.errors import UsageError
from windlass.formats.pytorch.types import data_type, torch, torch_quietly

Tensors = tuple[TensorSignature, ...]

# Operators that keep the type and the number of axes, so that one may look behind them.
_TRANSPARENT = {
    "aten::to",
    "aten::contiguous",
    "aten::dropout",
    "aten::relu",
    "aten::detach",
    "aten::add",
    "aten::sub",
    "aten::mul",
    "aten::div",
    "aten::clone",
}
# Convolutions, and where among their arguments the number of their groups is.
_CONVOLUTIONS = {"conv1d": 6, "conv2d": 6, "conv3d": 6, "_convolution": 8}
# Sides of images that models with one size only are made for, as far as anybody can know.
_SIDES = (-1, 224, 32, 28, 64, 8, 16, 48, 96, 128, 256, 299, 384, 512)


def candidates(module: Any, given: Tensors, where: str) -> Iterator[Tensors]:
    """Yield inputs that may fit, the likeliest first; those that a person gave are taken as they are.

    Raises ``UsageError`` where neither the person nor the graph tells.
    """
    said = {tensor.name: tensor for tensor in given}
    names = _arguments(module, said, where)
    if unknown := [name for name in said if name not in names]:
        raise UsageError(f"`{where}` has no input `{unknown[0]}`", found=f"forward({', '.join(names)})")
    inferred = {} if said.keys() >= set(names) else _inferred(module)
    choices = []
    for name in names:
        found = [said[name]] if name in said else inferred.get(name, [])
        if not found:
            raise UsageError(
                f"`{where}` does not tell the shape of its input `{name}`",
                found=f"forward({', '.join(names)})",
                hint=f"add `--input {name}:FP32[-1,3,224,224]` with its own type and shape; -1 is any size",
            )
        choices.append(found)
    yield from product(*choices)


def _arguments(module: Any, said: Mapping[str, TensorSignature], where: str) -> list[str]:
    """Return the arguments that need a tensor, and those that may have one and are given one."""
    arguments = module.forward.schema.arguments[1:]
    needed = [one for one in arguments if not one.has_default_value()]
    strange = [one for one in needed if one.type.kind() not in ("TensorType", "OptionalType")]
    if strange:
        raise UsageError(
            f"`{where}`: input `{strange[0].name}` is a {strange[0].type.annotation_str}, expected a tensor",
            hint="script a module whose forward() takes tensors, or write its config.pbtxt yourself",
        )
    return [one.name for one in arguments if one in needed or one.name in said]


def _inferred(module: Any) -> dict[str, list[TensorSignature]]:
    """Return by argument what its first operator with weights takes."""
    lib = torch()
    with torch_quietly():
        frozen = lib.jit.freeze(module)
        lib._C._jit_pass_inline(frozen.graph)
    found = {}
    for value, argument in zip(list(frozen.graph.inputs())[1:], module.forward.schema.arguments[1:], strict=False):
        shapes = _of_consumers(argument.name, value)
        if shapes:
            found[argument.name] = shapes
    return found


def _of_consumers(name: str, value: Any, depth: int = 0) -> list[TensorSignature]:
    for use in value.uses():
        node = use.user
        made = _of_operator(name, node) if use.offset == 0 or node.kind() == "aten::embedding" else []
        if not made and node.kind() in _TRANSPARENT and depth < 8:
            made = _of_consumers(name, node.output(), depth + 1)
        if made:
            return made
    return []


def _of_operator(name: str, node: Any) -> list[TensorSignature]:
    """Return what an operator's weight says of the tensor that meets it."""
    kind = node.kind().removeprefix("aten::")
    weight = _constant(node, 0 if kind == "embedding" else 1)
    if weight is None:
        return []
    if kind == "embedding":
        return [TensorSignature(name, "TYPE_INT64", (-1, -1)), TensorSignature(name, "TYPE_INT64", (-1,))]
    element = data_type(weight)
    if kind == "linear":
        size = weight.shape[1]
        return [TensorSignature(name, element, shape) for shape in ((-1, size), (-1, -1, size))]
    axes = _CONVOLUTIONS.get(kind, 0) and weight.dim() - 2
    if axes > 0:
        channels = weight.shape[1] * _groups(node, _CONVOLUTIONS[kind])
        return [TensorSignature(name, element, (-1, channels, *(side,) * axes)) for side in _SIDES]
    if kind == "batch_norm":
        return [TensorSignature(name, element, (-1, weight.shape[0], *(-1,) * more)) for more in (0, 1, 2)]
    return []


def _constant(node: Any, place: int) -> Any:
    inputs = list(node.inputs())
    made_by = inputs[place].node() if place < len(inputs) else None
    if made_by is None or made_by.kind() != "prim::Constant" or not made_by.hasAttribute("value"):
        return None
    return made_by.t("value") if made_by.kindOf("value") == "t" else None


def _groups(node: Any, place: int) -> int:
    value = list(node.inputs())[place].toIValue()
    return int(value) if value else 1
