"""How far the outputs of two models are apart: one value for each output, and the samples where they are furthest.

Pure: arrays go in. `compare` asks the models.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from windlass.optimize.compare.measured import NONE, kind, measure
from windlass.optimize.compare.pairing import Arrays, pair
from windlass.samples.samples import Array

Value: TypeAlias = float | int | bool | bytes

WORST = 5


@dataclass(frozen=True, slots=True)
class Worst:
    """One sample that both sides see differently: where they differ most in it, and what they say there.

    ``top1`` is the place of the highest value on each side, where that means something.
    """

    sample: int
    place: tuple[int, ...]
    a: Value
    b: Value
    difference: float | None
    cosine: float | None
    top1: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class OutputDifference:
    """One output. Figures that are not defined are ``None``, and the notes say why.

    ``unequal`` is the share of values that differ at all; ``relative`` the largest norm of a sample's difference in
    terms of the norm of A's; ``cosine`` the mean over the samples, ``lowest_cosine`` that of the worst one.
    """

    name: str
    samples: int
    unequal: float
    max_abs: float | None
    mean_abs: float | None
    relative: float | None
    cosine: float | None
    lowest_cosine: float | None
    top1_agreement: float | None
    worst: tuple[Worst, ...]
    notes: tuple[str, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """All outputs that could be compared, by name. ``faults`` are what makes B no stand-in for A, however close."""

    outputs: dict[str, OutputDifference]
    notes: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def max_abs(self) -> float | None:
        """The largest difference of all outputs of numbers."""
        return max(self._known("max_abs"), default=None)

    @property
    def cosine(self) -> float | None:
        """The mean cosine of the output where it is lowest."""
        return min(self._known("cosine"), default=None)

    @property
    def lowest_cosine(self) -> float | None:
        """The cosine of the worst sample in the worst output."""
        return min(self._known("lowest_cosine"), default=None)

    @property
    def top1_agreement(self) -> float | None:
        """The share of samples whose highest value is in the same place, in the output where it is lowest."""
        return min(self._known("top1_agreement"), default=None)

    def _known(self, figure: str) -> Iterator[float]:
        return (value for output in self.outputs.values() if (value := getattr(output, figure)) is not None)


def differences(
    a: Arrays, b: Arrays, *, batched: bool = True, renamed: Mapping[str, str] | None = None, worst: int = WORST
) -> Differences:
    """Measure how far the outputs of B are from those of A, by name.

    The first axis is that of the samples, or all is one sample where it is not ``batched``. ``renamed`` has the names
    in B of outputs that have another in A.
    """
    gathered = Gathered(renamed or {}, worst)
    if batched:
        gathered.add(a, b)
    else:
        gathered.add(*({name: array[np.newaxis] for name, array in side.items()} for side in (a, b)))
    return gathered.differences()


@dataclass(slots=True)
class Gathered:
    """Differences of many batches, of which only figures are kept."""

    renamed: Mapping[str, str]
    worst: int = WORST
    _figures: dict[str, list[Array]] = field(default_factory=dict)
    _kinds: dict[str, str] = field(default_factory=dict)
    # In the order in which they came up, each once.
    _notes: dict[str, None] = field(default_factory=dict)
    _faults: dict[str, None] = field(default_factory=dict)

    def add(self, a: Arrays, b: Arrays) -> None:
        """Measure the next samples."""
        pairs = pair(a, b, self.renamed)
        self._notes.update(dict.fromkeys(pairs.notes))
        self._faults.update(dict.fromkeys(pairs.faults))
        for name, (of_a, of_b) in pairs.outputs.items():
            self._figures.setdefault(name, []).append(measure(of_a, of_b))
            self._kinds[name] = "real" if "real" in (kind(of_a), kind(of_b)) else kind(of_a)

    def differences(self) -> Differences:
        """Sum up."""
        outputs = {
            name: _summary(name, self._kinds[name], np.concatenate(batches), self.worst)
            for name, batches in self._figures.items()
        }
        faults = [fault for output in outputs.values() for fault in output.faults]
        return Differences(outputs, tuple(self._notes), (*self._faults, *faults))


def _summary(name: str, kind: str, figures: Array, worst: int) -> OutputDifference:
    elements = max(int(figures["elements"].sum()), 1)
    numbers, cosines = kind != "text", figures["cosine"][~np.isnan(figures["cosine"])]
    relative = figures["relative"][~np.isnan(figures["relative"])]
    telling = ((figures["top_a"] != NONE) | (figures["top_b"] != NONE)) & ~figures["level"]
    agreeing = (figures["top_a"] == figures["top_b"])[telling]
    return OutputDifference(
        name,
        len(figures),
        unequal=float(figures["unequal"].sum()) / elements,
        max_abs=float(figures["largest"].max(initial=0.0)) if numbers else None,
        mean_abs=float(figures["total"].sum()) / elements if numbers else None,
        relative=float(relative.max()) if relative.size else None,
        cosine=float(cosines.mean()) if cosines.size else None,
        lowest_cosine=float(cosines.min()) if cosines.size else None,
        top1_agreement=float(agreeing.mean()) if agreeing.size else None,
        worst=tuple(_worst(figures, numbers, worst)),
        notes=tuple(_notes(name, kind, figures)),
        faults=tuple(_faults(name, figures)),
    )


def _worst(figures: Array, numbers: bool, count: int) -> Iterator[Worst]:
    order = np.argsort(-figures["largest" if numbers else "unequal"], kind="stable")[:count]
    for index in order:
        row = figures[index]
        if not row["unequal"]:
            return
        tops = (int(row["top_a"]), int(row["top_b"]))
        yield Worst(
            int(index),
            row["place"],
            row["a"],
            row["b"],
            difference=float(row["largest"]) if numbers else None,
            cosine=None if np.isnan(row["cosine"]) else float(row["cosine"]),
            top1=None if tops == (NONE, NONE) else tops,
        )


def _faults(name: str, figures: Array) -> Iterator[str]:
    bad = np.flatnonzero(figures["apart"])
    if bad.size:
        yield (
            f"output `{name}`: NaN or infinite on one side only in {_count(figures['apart'].sum(), 'value')} of "
            f"{_count(bad.size, 'sample')}, first in sample {bad[0]}"
        )


def _notes(name: str, kind: str, figures: Array) -> Iterator[str]:
    if kind == "text":
        yield f"output `{name}`: strings are equal or they are not"
    if kind == "whole":
        yield f"output `{name}`: whole numbers are compared one by one, without cosine and top-1"
    if kind == "real":
        yield from _notes_of_directions(name, figures)
    if not figures["elements"].any():
        yield f"output `{name}` is empty in every sample"
    unusual = np.flatnonzero(figures["unusual"])
    if unusual.size:
        yield (
            f"output `{name}`: NaN or infinite in the same way on both sides in "
            f"{_count(figures['unusual'].sum(), 'value')}, first in sample {unusual[0]}"
        )
    for side in _constant(figures):
        yield f"output `{name}` of {side} is the same for every sample: nothing can be told from it about real inputs"


def _notes_of_directions(name: str, figures: Array) -> Iterator[str]:
    if (figures["elements"] == 1).all():
        yield f"output `{name}`: one value a sample has no direction, so there is no cosine"
        return
    level, empty = int(figures["level"].sum()), int(figures["empty"].sum())
    if level:
        yield (
            f"output `{name}`: the cosine is undefined for {_count(level, 'sample')} of {len(figures)}, whose values "
            "are all the same"
        )
    if empty:
        yield f"output `{name}`: all zero on one side only in {_count(empty, 'sample')}, whose cosine counts as 0"


def _constant(figures: Array) -> Sequence[str]:
    if len(figures) < 2 or not figures["elements"].any():
        return ()
    return [
        side for side, prints in (("A", "print_a"), ("B", "print_b")) if (figures[prints] == figures[prints][0]).all()
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
