"""PyTorch's exported program, out of TorchScript."""

from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from windlass.config import as_executed
from windlass.optimize.export.axes import open_axes
from windlass.optimize.export.original import Original
from windlass.optimize.export.program import tensors, torch_module, traced
from windlass.optimize.quiet import conversion

HINT = "export the module itself with `windlass add FILE`, where its source is at hand"


def from_torchscript(original: Original, file: Path) -> None:
    """Write TorchScript as an exported program."""
    with conversion(f"PyTorch cannot export `{original.source.text}`", HINT):
        torch_module().export.save(program_of(original), str(file))


def program_of(original: Original) -> Any:
    """Return TorchScript as an exported program, with the names of the configuration. To be called silently."""
    torch = torch_module()
    from torch._export.converter import TS2EPConverter

    given = tensors(original)
    converted = TS2EPConverter(traced(original), given).convert().module(check_guards=False)
    outputs = [output.name for output in as_executed(original.config).output]
    axes = open_axes(original.config)
    shapes = {name: dict.fromkeys(axes[name], torch.export.Dim.AUTO) for name in original.example}
    return torch.export.export(_named(converted, list(original.example), outputs), given, dynamic_shapes=shapes)


def _named(module: Any, inputs: list[str], outputs: list[str]) -> Any:
    """Return a module whose arguments are called like the inputs, and that returns its outputs by name."""

    class Named(torch_module().nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, *given: Any) -> dict[str, Any]:
            return dict(zip(outputs, self.inner(*given), strict=True))

    parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *inputs)]
    Named.forward.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return Named()
