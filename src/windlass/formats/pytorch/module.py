"""A Python file with a function that builds an ``nn.Module``: ``module.py:build``.

A function ``example_inputs()`` beside it says what its ``forward()`` takes: a tensor, or a tuple or dictionary of them.
"""

import importlib.util
import inspect
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from windlass.backends.signature import TensorSignature
from windlass.errors import UsageError
from windlass.formats.found import Written
from windlass.formats.given import Given
from windlass.formats.inspection import Inspection, declared
from windlass.formats.peek import size_bytes
from windlass.formats.pytorch import exported, script_inputs, torchscript
from windlass.formats.pytorch.attempts import place, runnable
from windlass.formats.pytorch.capture import capture
from windlass.formats.pytorch.example import Example
from windlass.formats.pytorch.types import torch, torch_quietly

EXAMPLES = "example_inputs"


class ModuleFile:
    """A module that code builds. ``finish`` is what happens to it before it is used, e.g. that it gets its weights."""

    format = "PyTorch module"

    def __init__(
        self, path: Path, builder: str, given: Given, finish: Callable[[Any], Any] = lambda module: module
    ) -> None:
        self.path = path
        self._builder = builder
        self._given = given
        self._finish = finish

    @property
    def _where(self) -> str:
        return f"{self.path}:{self._builder}"

    def inspect(self) -> Inspection:
        """Build the module and capture it: what is told is what would be served."""
        with tempfile.TemporaryDirectory(prefix="windlass-inspect-") as above:
            written = self.write(Path(above))
            found = inspect_captured(Path(above), written)
        return replace(
            found, format=self.format, size_bytes=size_bytes(self.path), notes=(*written.notes, *found.notes)
        )

    def write(self, folder: Path) -> Written:
        """Build the module and write it as an exported program, or as TorchScript where it cannot be one."""
        code = _imported(self.path)
        module = self._finish(self._built(code))
        return capture(module, self._example(code, module), folder, self._where)

    def _built(self, code: ModuleType) -> Any:
        build = getattr(code, self._builder, None)
        if build is None:
            names = [
                name for name, value in vars(code).items() if callable(value) and value.__module__ == code.__name__
            ]
            raise UsageError(
                f"`{self.path}` has no `{self._builder}`",
                found=", ".join(names) or "no function",
                hint=f"name what builds the module: `{self.path}:NAME`",
            )
        try:
            with torch_quietly():
                built = build if isinstance(build, torch().nn.Module) else build()
        except (Exception, SystemExit) as error:  # the user's own code
            raise _fault(f"`{self._builder}()` raised {_said(error)}", self._where, error) from error
        if not isinstance(built, torch().nn.Module):
            raise UsageError(
                f"`{self._where}` builds no module",
                found=type(built).__name__,
                hint="return a `torch.nn.Module` from it",
            )
        return built

    def _example(self, code: ModuleType, module: Any) -> Example:
        """Take what the file offers, and for it what was said on the command line."""
        makes = getattr(code, EXAMPLES, None)
        if makes is None:
            return self._example_without(module)
        try:
            tensors = _by_argument(makes(), module, self._where)
        except UsageError:
            raise
        except (Exception, SystemExit) as error:  # the user's own code
            raise _fault(f"`{EXAMPLES}()` raised {_said(error)}", self._where, error) from error
        example = Example(tensors, {name: _open_axes(tensor) for name, tensor in tensors.items()})
        if not self._given.inputs:
            return example
        said = Example.of(self._given.inputs, 16)
        _refuse_unknown(said, list(tensors), self._where)
        return Example({**tensors, **said.tensors}, {**example.open_axes, **said.open_axes})

    def _example_without(self, module: Any) -> Example:
        """Go by ``--input``; where nothing is said, by the graph, if the module can be compiled."""
        if self._given.inputs:
            _refuse_unknown(Example.of(self._given.inputs, 16), _parameters(module), self._where)
            return runnable(module, [_in_order(self._given.inputs, module)], self._where)
        hint = f"add a function `{EXAMPLES}()` to the file, or `--input NAME:FP32[-1,3,224,224]`"
        found = f"forward({', '.join(_parameters(module))})"
        try:
            with torch_quietly():
                script = torch().jit.script(module.eval())
            return runnable(module, script_inputs.candidates(script, (), self._where), self._where)
        except Exception:  # it was worth a try
            raise UsageError(f"`{self._where}` does not tell its inputs", found=found, hint=hint) from None


def inspect_captured(folder: Path, written: Written) -> Inspection:
    """Look at what a module became."""
    given = Given(inputs=declared(written.config.input, written.config))
    if (folder / "model.pt2").is_file():
        return exported.Exported(folder / "model.pt2").inspect()
    return torchscript.TorchScript(folder / "model.pt", given).inspect()


def _imported(path: Path) -> ModuleType:
    """Run a Python file, which may import its neighbours."""
    name = f"windlass_model_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise UsageError(f"`{path}` is no Python file")
    code = importlib.util.module_from_spec(spec)
    # Classes of it are looked up by their module's name when they are compiled.
    sys.modules[name] = code
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(code)
    except (Exception, SystemExit) as error:  # the user's own code
        raise _fault(f"importing it raised {_said(error)}", str(path), error) from error
    finally:
        sys.path.remove(folder)
    return code


def _fault(message: str, where: str, error: BaseException) -> UsageError:
    line = f"{error.filename}:{error.lineno}" if isinstance(error, SyntaxError) else place(error, where)
    hint = "install what it imports into this environment" if isinstance(error, ImportError) else None
    return UsageError(f"`{where}`: {message}", found=line, hint=hint)


def _said(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _by_argument(made: Any, module: Any, where: str) -> dict[str, Any]:
    """Return example inputs by the names of ``forward()``'s arguments."""
    if isinstance(made, dict):
        tensors = made
    else:
        values = tuple(made) if isinstance(made, (tuple, list)) else (made,)
        tensors = dict(zip(_parameters(module), values, strict=False))
        if len(tensors) < len(values):
            raise UsageError(
                f"`{where}`: {EXAMPLES}() has {len(values)} tensors", found=f"forward({', '.join(_parameters(module))})"
            )
    strange = [name for name, value in tensors.items() if not isinstance(value, torch().Tensor)]
    if strange or not tensors:
        found = f"`{strange[0]}` is a {type(tensors[strange[0]]).__name__}" if strange else "nothing"
        raise UsageError(f"`{where}`: {EXAMPLES}() returns no tensors", found=found)
    return tensors


def _parameters(module: Any) -> list[str]:
    parameters = inspect.signature(module.forward).parameters.values()
    return [one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]


def _in_order(inputs: tuple[TensorSignature, ...], module: Any) -> tuple[TensorSignature, ...]:
    order = _parameters(module)
    return tuple(sorted(inputs, key=lambda one: order.index(one.name)))


def _refuse_unknown(said: Example, names: list[str], where: str) -> None:
    if unknown := [name for name in said.tensors if name not in names]:
        raise UsageError(f"`{where}` has no input `{unknown[0]}`", found=f"forward({', '.join(names)})")


def _open_axes(tensor: Any) -> tuple[int, ...]:
    """The batch is open, and the length of texts: integers in two dimensions are texts."""
    if not tensor.dim():
        return ()
    return (0, 1) if tensor.dim() == 2 and not tensor.is_floating_point() else (0,)
