"""A user's own metric: ``file.py:function`` takes the outputs of A, those of B and the labels, and returns a number."""

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from windlass.errors import UsageError
from windlass.optimize.compare.metric import Answered, Score
from windlass.samples.samples import Array

# Samples along the first axis; or one array for each sample, where their shapes differ.
Outputs: TypeAlias = dict[str, Array | list[Array]]
Function: TypeAlias = Callable[[Outputs, Outputs, Array | None], Any]

_SHAPE = "def FUNCTION(a, b, labels): return a number"


@dataclass(slots=True)
class OwnMetric:
    """Keeps all outputs, and asks the function in the end."""

    text: str
    function: Function
    at_least: bool = True
    _batches: tuple[list[dict[str, Array]], list[dict[str, Array]]] = field(default_factory=lambda: ([], []))

    @classmethod
    def load(cls, text: str, *, at_least: bool = True) -> "OwnMetric":
        """Find the function that ``file.py:function`` names. Raises ``UsageError``."""
        name, _, attribute = text.rpartition(":")
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"metric `{text}`: there is no `{path}`", hint="name one: `file.py:function`")
        function = getattr(_imported(path), attribute, None)
        if not callable(function):
            raise UsageError(f"metric `{text}`: `{path}` has no function `{attribute}`", hint=_SHAPE)
        try:
            inspect.signature(function).bind({}, {}, None)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"metric `{text}` does not take the outputs of A, those of B, and the labels: {error}", hint=_SHAPE
            ) from None
        return cls(text, function, at_least)

    def add(self, a: Mapping[str, Array], b: Mapping[str, Array]) -> None:
        """Keep the next outputs."""
        for kept, outputs in zip(self._batches, (a, b), strict=True):
            kept.append(dict(outputs))

    def score(self, answered: Answered) -> Score:
        """Ask the function. Raises ``UsageError`` where it fails, or returns no number."""
        a, b = (_together(batches) for batches in self._batches)
        path = Path(self.text.rpartition(":")[0])
        with _explained(path, f"metric `{self.text}` failed"):
            result = self.function(a, b, answered.labels)
        return Score(self.text, self._number(result), self.at_least)

    def _number(self, result: Any) -> float:
        try:
            number = float(result)
        except (TypeError, ValueError):
            number = float("nan")
        if np.isnan(number) or isinstance(result, str):
            raise UsageError(f"metric `{self.text}` returned no number", found=repr(result)[:80], hint=_SHAPE)
        return number


def _together(batches: list[dict[str, Array]]) -> Outputs:
    joined: Outputs = {}
    for name in batches[0]:
        arrays = [batch[name] for batch in batches if name in batch]
        alike = len({array.shape[1:] for array in arrays}) == 1
        joined[name] = np.concatenate(arrays) if alike else [row for array in arrays for row in array]
    return joined


def _imported(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(f"windlass_metric_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"`{path}` is no Python file", hint="name one that ends in `.py`")
    module = importlib.util.module_from_spec(spec)
    # What lies beside it can be imported, as when Python runs it.
    sys.path.insert(0, str(path.parent))
    try:
        with _explained(path, f"`{path}` cannot be imported"):
            spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


@contextmanager
def _explained(path: Path, what: str) -> Iterator[None]:
    """Say where in the user's file something failed; whatever it does must not end the command without a word."""
    try:
        yield
    except (Exception, SystemExit) as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
        line = frames[-1].lineno if frames else getattr(error, "lineno", None)
        where = f"{path}:{line}" if line else str(path)
        raise UsageError(f"{what}: {type(error).__name__}: {error}", where=where) from error
