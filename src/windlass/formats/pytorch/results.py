"""What modules return, by name; and what running one at several sizes tells of it."""

from collections.abc import Callable, Mapping
from typing import Any

from windlass.backends.signature import TensorSignature
from windlass.errors import UsageError
from windlass.formats.pytorch.example import Example
from windlass.formats.pytorch.types import data_type, served, torch, torch_quietly

# Batches and scales of open axes at which two programs have to agree.
SIZES = ((1, 1.0), (3, 1.5), (2, 0.5))


def named(result: Any) -> dict[str, Any]:
    """Return a module's outputs by name: its own where it returns a dictionary, else ``output__<index>``.

    What is nested is named by the way to it; nothing stays of ``None``.
    """
    if not isinstance(result, Mapping) and not isinstance(result, (tuple, list)):
        return {"output__0": result}
    flat: dict[str, Any] = {}
    for place, value in result.items() if isinstance(result, Mapping) else enumerate(result):
        own = str(place) if isinstance(result, Mapping) else f"output__{len(flat)}"
        if isinstance(value, (Mapping, tuple, list)):
            flat |= {f"{own}.{name}": inner for name, inner in named(value).items()}
        elif value is not None:
            flat[own] = value
    return flat


def is_flat(result: Any) -> bool:
    """Tell whether a result needs no naming: one tensor, or a plain tuple or dictionary of tensors."""
    values = list(result.values()) if type(result) is dict else list(result) if type(result) is tuple else [result]
    return all(isinstance(value, torch().Tensor) for value in values)


def run(module: Callable[..., Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Call a module by the names of its arguments; raises whatever it raises."""
    with torch_quietly(), torch().no_grad():
        return named(module(**inputs))


def outputs_of(module: Callable[..., Any], example: Example) -> tuple[TensorSignature, ...]:
    """Run a module at two sizes and return its outputs; axes whose sizes differ are open. Raises what it raises."""
    small, large = run(module, example.at(2)), run(module, example.at(3, 1.5))
    return tuple(_compared(name, small[name], large[name]) for name in small)


def _compared(name: str, small: Any, large: Any) -> TensorSignature:
    kind = data_type(small) if isinstance(small, torch().Tensor) else type(small).__name__
    if not served(kind):
        raise UsageError(
            f"output `{name}` is a {kind}, which is not served", hint="return tensors, or a tuple or dictionary of them"
        )
    if small.dim() != large.dim():
        raise UsageError(f"output `{name}` has {small.dim()} or {large.dim()} dimensions, by the sizes of the inputs")
    sizes = zip(small.shape, large.shape, strict=True)
    return TensorSignature(name, kind, tuple(one if one == other else -1 for one, other in sizes))


def difference(original: Callable[..., Any], copy: Callable[..., Any], example: Example) -> str | None:
    """Run both at several sizes and say where they part; sizes that the original does not take are left out."""
    for batch, scale in SIZES if any(example.open_axes.values()) else SIZES[:1]:
        inputs = example.at(batch, scale)
        try:
            wanted = run(original, inputs)
        except Exception:  # a size that it does not take
            continue
        shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in inputs.items())
        try:
            made = run(copy, inputs)
        except Exception as error:  # operators raise what they like
            return f"it fails with {shapes}: {reason(error)}"
        if parted := _unlike(wanted, made):
            return f"with {shapes} {parted}"
    return None


def _unlike(wanted: Mapping[str, Any], made: Mapping[str, Any]) -> str | None:
    if wanted.keys() != made.keys():
        return f"the outputs are {', '.join(made)} and not {', '.join(wanted)}"
    for name, value in wanted.items():
        if value.shape != made[name].shape:
            return f"output `{name}` has shape {list(made[name].shape)} and not {list(value.shape)}"
        one, other = value.double(), made[name].double()
        scale = float(one.abs().nan_to_num(posinf=0).max()) if one.numel() else 0.0
        if not torch().allclose(one, other, rtol=1e-3, atol=1e-4 * max(scale, 1e-3), equal_nan=True):
            return f"output `{name}` differs by up to {float((one - other).abs().max()):.3g}"
    return None


def reason(error: BaseException | None) -> str:
    """Return what an exception says that matters: PyTorch puts whole stacks into its texts."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("RuntimeError:", "IndexError:", "ValueError:"))]
    return (told[-1] if told else (lines or [type(error).__name__])[0])[:300]
