"""Exported programs of PyTorch (``.pt2``): a graph that tells its inputs and outputs, and its weights."""

import shutil
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

from windlass.backends import LoadContext
from windlass.backends import find as find_backend
from windlass.config import ModelConfig
from windlass.errors import BackendError, UsageError
from windlass.formats.found import Written
from windlass.formats.given import Given
from windlass.formats.inspection import Inspection, declared, ranked
from windlass.formats.peek import members
from windlass.formats.pytorch.results import reason
from windlass.formats.pytorch.types import precisions, torch, torch_quietly


def recognise(path: Path, _given: Given) -> "Exported | None":
    """Return the model of an exported program, in the form of today or of PyTorch before 2.8."""
    names = members(path)
    packed = "archive_format" in names or "archive_version" in names
    is_one = (
        packed and any(name.startswith("models/") for name in names)
    ) or "serialized_exported_program.json" in names
    return Exported(path) if is_one else None


class Exported:
    """A model in an exported program."""

    format = "exported program"

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _program(self) -> Any:
        try:
            with torch_quietly():
                return torch().export.load(str(self.path))
        except Exception as error:  # anything may be in the file
            raise UsageError(
                f"`{self.path}` cannot be read as an exported program: {reason(error)}",
                hint=f"it may be of another PyTorch than {torch().__version__}: export it again with this one",
            ) from error

    def inspect(self) -> Inspection:
        """Read the graph."""
        program, config = self._program, self._config()
        calls = [node.target for node in program.graph.nodes if node.op == "call_function"]
        operators = Counter(str(call).removeprefix("aten.") for call in calls if hasattr(call, "namespace"))
        weights = [*program.state_dict.values(), *(one for one in program.constants.values() if hasattr(one, "dtype"))]
        return Inspection(
            self.format,
            declared(config.input, config),
            declared(config.output, config),
            ranked(operators),
            self.path.stat().st_size,
            precisions(weights),
            ("pytorch",),
            ("`windlass export --to onnx` lets onnxruntime and openvino serve it",),
        )

    def write(self, folder: Path) -> Written:
        """Copy the file."""
        self._config()
        shutil.copyfile(self.path, folder / "model.pt2")
        return Written(ModelConfig(backend="pytorch"))

    def _config(self) -> ModelConfig:
        """Let the backend say what it would serve."""
        self._program  # noqa: B018 - a file that cannot be read is told here
        written = ModelConfig(name=self.path.stem, backend="pytorch", default_model_filename=self.path.name)
        context = LoadContext(self.path.stem, 1, self.path.parent, self.path.parent, written)
        try:
            return find_backend("pytorch").open(context).config
        except BackendError as error:
            said = error.message.partition(": ")[2] or error.message
            raise UsageError(f"`{self.path}` is not served: {said}", hint=error.hint) from error
