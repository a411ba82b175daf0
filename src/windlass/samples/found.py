"""What a reader found, on its way to being ``Samples``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from windlass.errors import UsageError
from windlass.samples.samples import Array, Row


@dataclass(slots=True)
class Found:
    """Rows, where each is from, and their labels: as many, or none at all."""

    rows: list[Row] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)

    def add(self, row: Row, origin: str, label: Any = None) -> None:
        """Take a row. Raises ``UsageError`` where it has a label and those before have none, or the other way."""
        if self.rows and (label is None) != (not self.labels):
            raise UsageError(
                "there is no label" if label is None else "there is a label, and the samples before have none",
                where=origin,
                hint="give every sample a label, or none",
            )
        self.rows.append(row)
        self.origins.append(origin)
        if label is not None:
            self.labels.append(label)

    def label_array(self, where: str) -> Array | None:
        """Return the labels as an array. Raises ``UsageError`` where they are of different kinds."""
        return labelled(self.labels, where) if self.labels else None


def labelled(labels: Sequence[Any], where: str) -> Array:
    """Return labels as an array: of numbers, or of strings. Raises ``UsageError`` for a mixture."""
    if all(isinstance(label, str) for label in labels):
        return np.array([*labels, None], dtype=object)[:-1]
    try:
        array = np.array(labels)
    except (ValueError, OverflowError):
        array = np.array(None)
    if array.dtype.kind not in "biuf":
        raise UsageError(
            "the labels are not of one kind",
            where=where,
            found=", ".join(sorted({type(label).__name__ for label in labels})),
            hint="write all labels as numbers (the place of the right class), or all as strings",
        )
    return array


class Deferred(Mapping[str, Array]):
    """A row of one input that is read when it is asked for, and not kept: folders may be larger than the memory."""

    __slots__ = ("_load", "_name")

    def __init__(self, name: str, load: Callable[[], Array]) -> None:
        self._name = name
        self._load = load

    def __getitem__(self, name: str) -> Array:
        """Read the array."""
        if name != self._name:
            raise KeyError(name)
        return self._load()

    def __iter__(self) -> Iterator[str]:
        """Return the one name."""
        return iter((self._name,))

    def __len__(self) -> int:
        """Return how many inputs there are."""
        return 1
