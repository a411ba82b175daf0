"""TorchScript, out of an exported program: its operators written down as source and compiled.

Not traced: a trace would hold the sizes of the example for those that every request has.
"""

from pathlib import Path
from typing import Any

from windlass.optimize.export.original import Original
from windlass.optimize.export.program import Program, plain, read_program, torch_module
from windlass.optimize.quiet import conversion

HINT = "serve it as it is, or export it to `onnx` or `openvino`"


def from_pt2(original: Original, file: Path) -> None:
    """Write an exported program as TorchScript."""
    with conversion(f"TorchScript cannot hold `{original.source.text}`", HINT):
        torch_module().jit.save(scripted(read_program(original.file)), str(file))


def scripted(program: Program) -> Any:
    """Return an exported program as TorchScript. To be called silently."""
    torch = torch_module()
    module = plain(program)
    for node in module.graph.nodes:
        # TorchScript chooses among the forms of an operator by the types it is given.
        if isinstance(node.target, torch._ops.OpOverload):
            node.target = node.target.overloadpacket
    module.recompile()
    return torch.jit.script(module)
