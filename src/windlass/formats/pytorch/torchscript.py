"""TorchScript: a program and its weights in one zip file. It tells neither the types nor the shapes of its tensors."""

import shutil
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from windlass.backends.signature import TensorSignature
from windlass.config import ModelConfig
from windlass.errors import UsageError
from windlass.formats.found import Written
from windlass.formats.given import Given
from windlass.formats.inspection import Inspection, ranked
from windlass.formats.peek import members
from windlass.formats.pytorch import script_inputs
from windlass.formats.pytorch.attempts import runnable
from windlass.formats.pytorch.results import outputs_of
from windlass.formats.pytorch.types import precisions, torch_quietly
from windlass.formats.pytorch.types import torch as _torch


def recognise(path: Path, given: Given) -> "TorchScript | None":
    """Return the model of a TorchScript file."""
    names = members(path)
    has_code = any(name.startswith("code/") for name in names)
    return TorchScript(path, given) if "constants.pkl" in names and has_code else None


class TorchScript:
    """A model in a TorchScript file. What a person says of its inputs goes before what its graph lets one infer."""

    format = "TorchScript"

    def __init__(self, path: Path, given: Given) -> None:
        self.path = path
        self._given = given

    @cached_property
    def _module(self) -> Any:
        try:
            with torch_quietly():
                return _torch().jit.load(str(self.path), map_location="cpu").eval()
        except Exception as error:  # anything may be in the file
            raise UsageError(f"`{self.path}` cannot be read as TorchScript: {_first_line(error)}") from error

    def inspect(self) -> Inspection:
        """Read the program; it runs a few times where its inputs are known, which tells its outputs."""
        operators = Counter(_operators(self._module))
        inputs, outputs, notes = None, None, ["`windlass export --to onnx` lets onnxruntime and openvino serve it"]
        try:
            inputs, outputs = self._ends()
            notes[:0] = self._inferred(inputs)
        except UsageError as error:
            notes.insert(0, f"its inputs are not known: {error.hint}")
        counted = precisions([*self._module.parameters(), *self._module.buffers()]) or _constants(self._module)
        size = self.path.stat().st_size
        return Inspection(self.format, inputs, outputs, ranked(operators), size, counted, ("pytorch",), tuple(notes))

    def write(self, folder: Path) -> Written:
        """Copy the file, and tell the tensors that it does not tell."""
        inputs, outputs = self._ends()
        shutil.copyfile(self.path, folder / "model.pt")
        return Written(configured(inputs, outputs), self._inferred(inputs))

    def _inferred(self, inputs: tuple[TensorSignature, ...]) -> tuple[str, ...]:
        said = {tensor.name for tensor in self._given.inputs}
        names = [f"`{tensor.name}`" for tensor in inputs if tensor.name not in said]
        return (f"inferred from the graph: {', '.join(names)}; `--input` says otherwise",) if names else ()

    def _ends(self) -> tuple[tuple[TensorSignature, ...], tuple[TensorSignature, ...]]:
        where = str(self.path)
        candidates = script_inputs.candidates(self._module, self._given.inputs, where)
        example = runnable(self._module, candidates, where)
        return example.signatures(), outputs_of(self._module, example)


def configured(inputs: tuple[TensorSignature, ...], outputs: tuple[TensorSignature, ...]) -> ModelConfig:
    """Return a configuration with tensors that the model's file does not tell.

    It has a batch where the first axis of everything is open; how large one may be is left to whoever completes it.
    """
    batched = all(tensor.shape[:1] == (-1,) for tensor in (*inputs, *outputs))
    config = ModelConfig(backend="pytorch", max_batch_size=int(batched))
    for tensors, given in ((inputs, config.input), (outputs, config.output)):
        for tensor in tensors:
            dims = tensor.shape[1:] if batched else tensor.shape
            given.add(name=tensor.name, data_type=tensor.data_type, dims=dims or (1,))
    return config


def _operators(module: Any) -> Iterator[str]:
    # The graph is made anew at every look, and its nodes go with it.
    graph = module.inlined_graph
    waiting = list(graph.nodes())
    while waiting:
        node = waiting.pop()
        if node.kind().startswith(("aten::", "quantized::", "torchvision::")):
            yield node.kind().removeprefix("aten::")
        for block in node.blocks():
            waiting.extend(block.nodes())


def _constants(module: Any) -> dict[str, int]:
    """Count the weights of a frozen module, which has them as constants of its graph."""
    graph = module.inlined_graph
    nodes = graph.findAllNodes("prim::Constant", True)
    held = (node.t("value") for node in nodes if node.hasAttribute("value") and node.kindOf("value") == "t")
    return precisions([tensor for tensor in held if tensor.dim()])


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
