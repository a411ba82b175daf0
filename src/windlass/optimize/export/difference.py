"""How far one output of an export is from the original's, and how far it may be. Values only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from windlass.errors import DifferenceError

Array = np.ndarray[Any, Any]

# What rounding may cost, of the largest value of an output, by its type. Integers, truths and texts are equal or not.
TOLERANCES = {"float64": 1e-4, "float32": 1e-4, "float16": 2e-2, "bfloat16": 5e-2}
# Kinds of numpy's types that hold fractions: bfloat16 is of no kind of numpy's own.
FLOATS = "fV"


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """How far an output was away at worst, and at which size. ``allowed`` is of its largest value, ``scale``."""

    output: str
    data_type: str
    max_abs: float
    cosine: float
    allowed: float
    scale: float
    worst: str

    @property
    def limit(self) -> float:
        """How far it may be away: outputs of small values are held to those of one."""
        return self.allowed * max(self.scale, 1.0)

    @property
    def passes(self) -> bool:
        """Tell whether it is near enough."""
        return self.max_abs <= self.limit


def check(name: str, expected: Array, found: Array, size: str, tolerance: float | None) -> OutputCheck:
    """Compare one output at one size. Raises ``DifferenceError`` where that is not a matter of rounding."""
    if expected.shape != found.shape:
        raise DifferenceError(
            f"output `{name}` has shape {list(expected.shape)} in the original and {list(found.shape)} in the export",
            where=size,
            hint="a size of the example became part of the model: make the original with that axis open",
        )
    kind = expected.dtype.name
    allowed = TOLERANCES.get(kind, 0.0) if tolerance is None else tolerance
    if expected.dtype.kind == "O":
        different = float(np.count_nonzero(expected != found))
        return OutputCheck(name, "string", different, float(different == 0), allowed, 1.0, size)
    one, other = expected.astype(np.float64), found.astype(np.float64)
    if np.isnan(other).sum() > np.isnan(one).sum():
        raise DifferenceError(
            f"output `{name}` of the export holds NaN where the original's are numbers",
            where=size,
            hint="export to another format",
        )
    largest = float(_distances(one, other).max(initial=0.0))
    scale = float(np.abs(one[np.isfinite(one)]).max(initial=0.0))
    return OutputCheck(name, kind, largest, _cosine(one, other), allowed, scale, size)


def worst(checks: Sequence[OutputCheck]) -> OutputCheck:
    """Return the check of one output that is nearest to its limit or beyond it, with the least cosine of all."""
    # Each relative to its own scale: an answer of large values may be further away.
    found = max(checks, key=lambda one: one.max_abs / max(one.scale, 1.0))
    return replace(found, cosine=min(one.cosine for one in checks))


def _distances(one: Array, other: Array) -> Array:
    """Infinities are equal or not: their difference is no number, and further than any."""
    with np.errstate(invalid="ignore"):
        distances = np.where(one == other, 0.0, np.abs(one - other))
    return np.nan_to_num(distances, nan=np.inf, posinf=np.inf)


def _cosine(one: Array, other: Array) -> float:
    both = np.isfinite(one) & np.isfinite(other)
    one, other = one[both], other[both]
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    if lengths == 0:
        return float(np.array_equal(one, other))
    return min(1.0, float(np.dot(one, other)) / lengths)
