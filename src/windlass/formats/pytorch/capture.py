"""From a module in this process to a file that is served without its code.

An exported program first: it tells its inputs, and other engines take it. Where the flow of control depends on values
no export follows it; TorchScript keeps such branches where it can compile them. A trace comes last: it would keep one
side of every branch, so it counts only where PyTorch saw none. Each is run beside the module before it is kept.
"""

import inspect
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from windlass.config import ModelConfig
from windlass.errors import UsageError
from windlass.formats.found import Written
from windlass.formats.pytorch.attempts import place
from windlass.formats.pytorch.example import Example
from windlass.formats.pytorch.results import difference, is_flat, named, outputs_of, reason
from windlass.formats.pytorch.torchscript import configured
from windlass.formats.pytorch.types import torch, torch_quietly

_ADVICE = "use `torch.where` or `torch.cond`, or serve it as a Python model: see docs/guides/add-a-model.md"


def capture(module: Any, example: Example, folder: Path, where: str) -> Written:
    """Write ``model.pt2``, or else ``model.pt``, into a folder.

    Raises ``UsageError`` with the place in the module's code where it cannot be followed.
    """
    module = module.eval().requires_grad_(False)
    example = _fixed_batch(example)
    try:
        result = _called(module, example)
    except Exception as error:  # the module's own code
        raise UsageError(
            f"`{where}`: forward() fails on its example inputs: {reason(error)}",
            found=place(error, where),
            hint="change `example_inputs()`, or tell inputs with `--input NAME:FP32[-1,3,224,224]`",
        ) from error
    try:
        return _exported(module, example, folder, flat=is_flat(result))
    except Exception as error:  # exports raise what they like
        failure = error
    for make in (_scripted, _traced):
        if (written := make(module, example, folder, failure)) is not None:
            return written
    (folder / "model.pt").unlink(missing_ok=True)
    raise UsageError(
        f"`{where}`: the module cannot be exported: {_why(failure)}", found=place(failure, where), hint=_ADVICE
    ) from failure


def _why(failure: Exception) -> str:
    decides = "data-dependent" in str(failure)
    return "its control flow depends on the values of tensors" if decides else f"torch.export says: {reason(failure)}"


def _called(module: Any, example: Example) -> Any:
    with torch_quietly(), torch().no_grad():
        return module(**example.at(2))


def _fixed_batch(example: Example) -> Example:
    """Inputs share their batch: where the first axis of one is closed, none of them has one."""
    if all(0 in axes for axes in example.open_axes.values()):
        return example
    return Example(
        example.tensors, {name: tuple(axis for axis in axes if axis) for name, axes in example.open_axes.items()}
    )


def _exported(module: Any, example: Example, folder: Path, *, flat: bool) -> Written:
    export = torch().export
    tensors = example.at(2)
    axes = {name: dict.fromkeys(example.open_axes[name], export.Dim.AUTO) for name in tensors}
    hook = None if flat else module.register_forward_hook(lambda _module, _inputs, result: named(result))
    file = folder / "model.pt2"
    try:
        with torch_quietly(), torch().no_grad():
            by_place = _leading(module, tensors)
            arguments = tuple(tensors[name] for name in by_place)
            by_name = {name: tensor for name, tensor in tensors.items() if name not in by_place}
            program = export.export(module, arguments, by_name, dynamic_shapes=axes)
            export.save(program, str(file))
            kept = export.load(str(file))
            loaded = kept.module()

        def copy(**given: Any) -> Any:
            return loaded(
                *(given[name] for name in by_place), **{name: given[name] for name in given if name not in by_place}
            )

        if parted := difference(module, copy, example):
            raise UsageError(f"the exported program is not the module: {parted}")
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    finally:
        if hook is not None:
            hook.remove()
    return Written(ModelConfig(backend="pytorch"), tuple(_closed(kept, example)))


def _leading(module: Any, tensors: dict[str, Any]) -> list[str]:
    """Return the inputs that come first in forward(), which are given by place: more tools understand that."""
    leading = []
    for name, parameter in inspect.signature(module.forward).parameters.items():
        if name not in tensors or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            break
        leading.append(name)
    return leading


def _closed(program: Any, example: Example) -> Iterator[str]:
    """Tell the axes that were to be open, and that the module's code fixes."""
    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    for name, node in zip(example.tensors, program.graph_signature.user_inputs, strict=False):
        for axis in example.open_axes[name]:
            size = values[node].shape[axis]
            if isinstance(size, int):
                which = "the batch" if axis == 0 else f"axis {axis}"
                yield f"{which} of `{name}` is always {size}: the module's code fixes it"


def _scripted(module: Any, example: Example, folder: Path, failure: Exception) -> Written | None:
    return _as_script(lambda: torch().jit.script(module), module, example, folder, failure)


def _traced(module: Any, example: Example, folder: Path, failure: Exception) -> Written | None:
    def trace() -> Any:
        jit = torch().jit
        with warnings.catch_warnings():
            # A branch that was left out, or a number that was written down.
            warnings.simplefilter("error", jit.TracerWarning)
            return jit.trace(module, example_kwarg_inputs=example.at(2), strict=False, check_trace=False)

    return _as_script(trace, module, example, folder, failure)


def _as_script(
    compile_: Callable[[], Any], module: Any, example: Example, folder: Path, failure: Exception
) -> Written | None:
    file = folder / "model.pt"
    try:
        with torch_quietly(), torch().no_grad():
            compile_().save(str(file))
            copy = torch().jit.load(str(file)).eval()
        if difference(module, copy, example):
            return None
        outputs = outputs_of(copy, example)
    except Exception:  # the next way may work
        return None
    note = f"kept as TorchScript, which fewer engines take: {_why(failure)}"
    return Written(configured(example.signatures(), outputs), (note,))
