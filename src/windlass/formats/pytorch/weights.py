"""Weights without a module: safetensors, or a state of PyTorch. ``--architecture`` names what they belong to."""

import json
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from windlass.backends.backend import missing
from windlass.errors import UsageError
from windlass.formats.found import Written
from windlass.formats.given import Given
from windlass.formats.inspection import Inspection, ranked
from windlass.formats.peek import head, members
from windlass.formats.pytorch.module import ModuleFile
from windlass.formats.pytorch.types import precisions, torch

_WIRE = {"F64": "FP64", "F32": "FP32", "F16": "FP16", "U8": "UINT8", "I8": "INT8"}
_NOT_LEARNT = {"I64", "I32", "BOOL"}
# How PyTorch began its files before they were zip files.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# A header of more than this is none.
_LARGEST_HEADER = 100_000_000


def recognise(path: Path, given: Given) -> "Weights | None":
    """Return the weights of a file."""
    is_state = "data.pkl" in members(path) and not any(name.startswith("code/") for name in members(path))
    is_state = is_state or head(path, len(_LEGACY)) == _LEGACY
    return Weights(path, given) if path.is_file() and (path.suffix == ".safetensors" or is_state) else None


class Weights:
    """Weights, and the code that builds the module they are loaded into."""

    format = "weights"

    def __init__(self, path: Path, given: Given) -> None:
        self.path = path
        self._given = given

    @cached_property
    def _module(self) -> ModuleFile:
        text = self._given.architecture
        if not text:
            folder = (self.path.parent / "config.json").is_file()
            raise UsageError(
                f"`{self.path}` has weights, and not the module that they belong to",
                hint=f"add the folder: `windlass add {self.path.parent}`"
                if folder
                else "add `--architecture module.py:build`, a function that builds it",
            )
        file, colon, builder = text.rpartition(":")
        path = Path(file if colon else text)
        if not path.is_file():
            raise UsageError(
                f"architecture `{text}`: `{path}` is not there", hint="say `--architecture module.py:build`"
            )
        return ModuleFile(path, builder if colon else "build", self._given, self._filled)

    def inspect(self) -> Inspection:
        """Capture the module with its weights; without one tell what the weights say of themselves."""
        if self._given.architecture:
            found = self._module.inspect()
            members_ = {name: getattr(found, name) for name in ("inputs", "outputs", "operators", "engines", "notes")}
            return Inspection(
                format=self.format, size_bytes=self.path.stat().st_size, precisions=found.precisions, **members_
            )
        note = "weights alone: `--architecture module.py:build` names the function that builds their module"
        return Inspection(self.format, None, None, {}, self.path.stat().st_size, self._precisions(), (), (note,))

    def write(self, folder: Path) -> Written:
        """Build the module, give it the weights, and write it."""
        return self._module.write(folder)

    def _precisions(self) -> dict[str, int]:
        if self.path.suffix != ".safetensors":
            return precisions(value for value in self._state().values() if isinstance(value, torch().Tensor))
        counts: Counter[str] = Counter()
        for tensor in header(self.path).values():
            if tensor["dtype"] not in _NOT_LEARNT:
                counts[_WIRE.get(tensor["dtype"], tensor["dtype"])] += _elements(tensor["shape"])
        return ranked(counts)

    def _filled(self, module: Any) -> Any:
        """Load the weights into a module; every one has to have its place, and every place its weight."""
        state = self._state()
        # What was saved from several GPUs says so in every name.
        if state and all(name.startswith("module.") for name in state):
            state = {name.removeprefix("module."): value for name, value in state.items()}
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            lines = [line.strip() for line in str(error).splitlines()[1:] if line.strip()]
            raise UsageError(
                f"the weights in `{self.path}` do not fit `{self._given.architecture}`",
                found=" ".join(lines)[:400],
                hint="build the very module that they were saved from",
            ) from None
        return module

    def _state(self) -> Mapping[str, Any]:
        if self.path.suffix == ".safetensors":
            header(self.path)
            return dict(_safetensors().load_file(str(self.path)))
        try:
            state = torch().load(str(self.path), map_location="cpu", weights_only=True)
        except Exception:  # whatever a pickle may hold
            raise UsageError(
                f"`{self.path}` holds more than weights: to load it would be to run code that is in it",
                hint="save the weights alone: `torch.save(module.state_dict(), ...)`",
            ) from None
        inner = state.get("state_dict", state) if isinstance(state, Mapping) else state
        if not isinstance(inner, Mapping):
            raise UsageError(f"`{self.path}` holds no weights", found=type(inner).__name__)
        return inner


def header(path: Path) -> dict[str, Any]:
    """Return what a safetensors file says of its tensors; raises ``UsageError`` where it is none."""
    size = int.from_bytes(head(path, 8), "little")
    text = head(path, 8 + min(size, _LARGEST_HEADER))[8:]
    try:
        tensors = json.loads(text) if len(text) == size else None
    except ValueError:
        tensors = None
    if not isinstance(tensors, dict):
        raise UsageError(f"`{path}` is no safetensors file", hint="was it copied to its end?")
    return {name: tensor for name, tensor in tensors.items() if name != "__metadata__"}


def _elements(shape: list[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError:
        raise missing("safetensors", "huggingface") from None
    return safetensors.torch
