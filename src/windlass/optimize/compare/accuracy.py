"""How often each side is right, where the right answers are known. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from windlass.errors import UsageError
from windlass.optimize.compare.measured import kind
from windlass.optimize.compare.metric import Answered, Score
from windlass.samples.samples import Array

_HINT = "measure it yourself with `--metric FILE.py:FUNCTION`"


def predictions(array: Array) -> Array | None:
    """Return what each sample is said to be: the place of the highest number, or the one value that is there.

    ``None`` where an output of this shape says nothing of the sort. A sample with NaN is said to be nothing: -1.
    """
    flat = array.reshape(len(array), -1)
    if kind(array) != "real":
        return flat[:, 0] if flat.shape[1] == 1 else None
    if flat.shape[1] < 2 or flat.shape[1] != max(array.shape[1:], default=1):
        return None
    numbers = flat.astype(np.float64)
    return np.where(np.isnan(numbers).any(axis=1), -1, numbers.argmax(axis=1))


@dataclass(slots=True)
class Accuracy:
    """The share of right answers of each side; the score is by how much it drops from A to B.

    ``output`` chooses what is judged, else it is the first output that can be. ``classes`` are the names of an output's
    places, for labels that are names.
    """

    output: str = ""
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    _said: tuple[list[Array], list[Array]] = field(default_factory=lambda: ([], []))
    _places: int = 0

    def add(self, a: Mapping[str, Array], b: Mapping[str, Array]) -> None:
        """Keep what both sides say; raises ``UsageError`` where nothing can be judged."""
        self.output = self.output or self._first(a)
        for said, side, outputs in zip(self._said, "AB", (a, b), strict=True):
            judged = predictions(outputs[self.output]) if self.output in outputs else None
            if judged is None:
                shape = list(outputs[self.output].shape[1:]) if self.output in outputs else "no such output"
                raise UsageError(f"output `{self.output}` of {side} names no class", found=str(shape), hint=_HINT)
            said.append(judged)
        if kind(a[self.output]) == "real":
            self._places = int(np.prod(a[self.output].shape[1:]))

    def _first(self, outputs: Mapping[str, Array]) -> str:
        for name, array in outputs.items():
            if predictions(array) is not None:
                return name
        raise UsageError(
            "no output names a class, so there is no accuracy",
            found=", ".join(f"`{name}` {list(array.shape[1:])}" for name, array in outputs.items()),
            hint=_HINT,
        )

    def score(self, answered: Answered) -> Score:
        """Return how much less often B is right than A. Raises ``UsageError`` where there are no right answers."""
        if answered.labels is None:
            hint = (
                "add `labels` to an .npz, `label` to the lines of a .jsonl, or sort files into a folder for each label"
            )
            raise UsageError("accuracy needs the right answers, and the samples have no labels", hint=hint)
        said = [np.concatenate(batches) for batches in self._said]
        right = self._answers(answered.labels, said[0])
        a, b = (int((answers == right).sum()) for answers in said)
        # A drop that is just what is allowed is allowed: shares that are subtracted would be a trace beyond it.
        return Score("accuracy", (a - b) / len(right), False, self.output, a / len(right), b / len(right))

    def _answers(self, labels: Array, said: Array) -> Array:
        """Return the labels in the terms of what the output says."""
        flat = labels.reshape(len(labels), -1)
        if flat.shape[1] != 1:
            raise UsageError("accuracy needs one label for each sample", found=f"{list(labels.shape)}", hint=_HINT)
        flat = flat[:, 0]
        if said.dtype.kind == "O":
            return np.array([*(str(label).encode() for label in flat), None], dtype=object)[:-1]
        if flat.dtype.kind == "O":
            return self._by_name(flat)
        if (flat != np.floor(flat)).any():
            found = f"{flat[flat != np.floor(flat)][0]}"
            raise UsageError("accuracy needs labels that are classes", found=found, hint=_HINT)
        if self._places and ((flat < 0) | (flat >= self._places)).any():
            found = f"label {flat[(flat < 0) | (flat >= self._places)][0]}"
            hint = "count the classes from 0"
            raise UsageError(f"output `{self.output}` has the classes 0 to {self._places - 1}", found=found, hint=hint)
        return flat.astype(np.int64)

    def _by_name(self, labels: Array) -> Array:
        places = {name: place for place, name in enumerate(self.classes.get(self.output, ()))}
        unknown = next((label for label in labels if label not in places), None)
        if unknown is not None:
            raise UsageError(
                f"label `{unknown}` is no class of output `{self.output}`",
                found=", ".join(list(places)[:10]) or "no names of classes: config.pbtxt has no `label_filename`",
                hint="name the classes there, or write labels as numbers, from 0",
            )
        return np.array([places[label] for label in labels])
