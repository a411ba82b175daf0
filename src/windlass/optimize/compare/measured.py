"""Measures two arrays of one output against each other, sample by sample. Pure: arrays in, figures out.

Two values that are NaN, or infinite with one sign, on both sides count as equal; one that is so on one side only is
``apart`` from any number. Integers are subtracted as integers, so that the largest ones differ by what they differ.
"""

import numpy as np

from windlass.config.datatypes import of_array
from windlass.errors import UsageError
from windlass.samples.samples import Array

# Where there is no highest value.
NONE = -1

# Values that are measured at once: each takes a hundred bytes meanwhile, and an image may have millions.
_AT_ONCE = 1 << 20

_TINY, _HUGE = 1e-100, 1e100

# What is known of one sample; NaN stands where a figure is not defined.
FIGURES = np.dtype(
    [
        ("elements", "i8"),
        ("unequal", "i8"),
        ("apart", "i8"),
        ("unusual", "i8"),  # NaN or infinite in the same way on both sides
        ("largest", "f8"),
        ("total", "f8"),
        ("relative", "f8"),
        ("cosine", "f8"),
        ("level", "?"),  # all values are the same, on both sides
        ("empty", "?"),  # all values are zero, on one side only
        ("top_a", "i8"),
        ("top_b", "i8"),
        ("print_a", "i8"),
        ("print_b", "i8"),
        ("place", "O"),
        ("a", "O"),
        ("b", "O"),
    ]
)


def kind(array: Array) -> str:
    """Return ``text``, ``whole`` or ``real``. Raises ``UsageError`` for arrays that no model of a server returns."""
    try:
        wire = of_array(array.dtype).wire
    except KeyError:
        raise UsageError(f"arrays of `{array.dtype}` cannot be compared") from None
    return "text" if wire == "BYTES" else "real" if wire in {"FP16", "BF16", "FP32", "FP64"} else "whole"


def measure(a: Array, b: Array) -> Array:
    """Return the figures of each sample; the first axis of both arrays is that of the samples."""
    rows = max(1, _AT_ONCE // max(1, a[:1].size))
    return np.concatenate([_measured(a[at : at + rows], b[at : at + rows]) for at in range(0, max(1, len(a)), rows)])


def _measured(a: Array, b: Array) -> Array:
    figures = np.zeros(len(a), FIGURES)
    shape, flat_a, flat_b = a.shape[1:], a.reshape(len(a), -1), b.reshape(len(b), -1)
    figures["elements"] = flat_a.shape[1]
    figures["cosine"] = figures["relative"] = np.nan
    figures["top_a"] = figures["top_b"] = NONE
    figures["print_a"], figures["print_b"] = _prints(flat_a), _prints(flat_b)
    if not flat_a.size:
        return figures
    if "text" in (kind(a), kind(b)):
        _compare_texts(figures, _as_bytes(flat_a), _as_bytes(flat_b), shape)
    elif "real" in (kind(a), kind(b)):
        _compare_reals(figures, flat_a.astype(np.float64), flat_b.astype(np.float64), shape)
    else:
        _compare_gaps(figures, (flat_a, flat_b), _whole_gaps(flat_a, flat_b), shape)
    return figures


def _prints(flat: Array) -> Array:
    """Fold each sample into a number, by which a model that always says the same is found."""
    contents = (tuple(row) for row in flat.tolist()) if flat.dtype.kind == "O" else (row.tobytes() for row in flat)
    return np.array([hash(content) for content in contents], dtype=np.int64)


def _compare_texts(figures: Array, a: Array, b: Array, shape: tuple[int, ...]) -> None:
    unequal = a != b
    figures["unequal"] = unequal.sum(axis=1)
    _show(figures, (a, b), unequal.argmax(axis=1), shape)


def _as_bytes(array: Array) -> Array:
    made = np.empty(array.size, dtype=object)
    made[:] = [item if isinstance(item, bytes) else str(item).encode() for item in array.ravel().tolist()]
    return made.reshape(array.shape)


def _compare_reals(figures: Array, x: Array, y: Array, shape: tuple[int, ...]) -> None:
    gaps = _gaps(figures, x, y)
    _compare_gaps(figures, (x, y), gaps, shape)
    if figures["apart"].any() or figures["unusual"].any():
        finite = np.isfinite(gaps) & np.isfinite(x)
        _compare_directions(figures, *(np.where(finite, side, 0.0) for side in (x, y, gaps)))
    else:
        _compare_directions(figures, x, y, gaps)
    # One number for each class, and nothing else, is what a highest value means something of.
    if x.shape[1] == max(shape, default=1) > 1:
        figures["top_a"], figures["top_b"] = _tops(x), _tops(y)


def _gaps(figures: Array, x: Array, y: Array) -> Array:
    """Subtract, and count what no number can be subtracted from."""
    with np.errstate(over="ignore", invalid="ignore"):
        gaps: Array = np.abs(x - y)
    if np.isfinite(gaps).all():
        return gaps
    finite = np.isfinite(x) & np.isfinite(y)
    alike = (x == y) | (np.isnan(x) & np.isnan(y))
    figures["apart"] = (~finite & ~alike).sum(axis=1)
    figures["unusual"] = (~finite & alike).sum(axis=1)
    return np.where(finite, gaps, np.where(alike, 0.0, np.inf))


def _compare_gaps(figures: Array, sides: tuple[Array, Array], gaps: Array, shape: tuple[int, ...]) -> None:
    figures["unequal"] = (gaps > 0).sum(axis=1)
    figures["largest"], figures["total"] = gaps.max(axis=1), gaps.sum(axis=1)
    _show(figures, sides, gaps.argmax(axis=1), shape)


def _whole_gaps(a: Array, b: Array) -> Array:
    common = np.result_type(a, b)
    if common.kind == "f":
        # Unsigned and signed integers of 64 bits have no integer type in common.
        return np.asarray(np.abs(a.astype(common) - b.astype(common)))
    wide = np.dtype(np.uint8) if common.kind == "b" else common
    high, low = np.maximum(a.astype(wide), b.astype(wide)), np.minimum(a.astype(wide), b.astype(wide))
    # What overflows wraps around, and back.
    return np.asarray((high.astype(np.uint64) - low.astype(np.uint64)).astype(np.float64))


def _show(figures: Array, sides: tuple[Array, Array], places: Array, shape: tuple[int, ...]) -> None:
    """Note the element of each sample that differs most, and what both sides say there."""
    rows = np.arange(len(figures))
    for name, side in zip(("a", "b"), sides, strict=True):
        figures[name] = np.array([*side[rows, places].tolist(), None], dtype=object)[:-1]
    for row, place in enumerate(places):
        figures["place"][row] = tuple(int(index) for index in np.unravel_index(place, shape)) if shape else ()


def _compare_directions(figures: Array, x: Array, y: Array, gaps: Array) -> None:
    """Measure directions, and differences in terms of what they are differences of."""
    tops, bottoms = [side.max(axis=1) for side in (x, y)], [side.min(axis=1) for side in (x, y)]
    high_x, high_y = (np.maximum(top, -bottom) for top, bottom in zip(tops, bottoms, strict=True))
    known, high = figures["apart"] == 0, np.maximum(high_x, high_y)
    norm, gap = _norm(_tamed(x, high)), _norm(_tamed(gaps, high))
    measured = known & ((norm > 0) | (gap == 0))
    figures["relative"][measured] = (gap / np.where(norm > 0, norm, 1.0))[measured]
    figures["level"] = (tops[0] == bottoms[0]) & (tops[1] == bottoms[1])
    figures["empty"] = ((high_x == 0) != (high_y == 0)) & ~figures["level"]
    x, y = _tamed(x, high_x), _tamed(y, high_y)
    norms = _norm(x) * _norm(y)
    cosine = np.clip(_dot(x, y) / np.where(norms > 0, norms, 1.0), -1.0, 1.0)
    cosine[(figures["unequal"] == 0) & (norms > 0)] = 1.0
    measured = known & ~figures["level"]
    figures["cosine"][measured] = cosine[measured]


def _tamed(x: Array, high: Array) -> Array:
    """Scale rows, where there is a number whose square would be too large or too small to tell."""
    if (((high > _TINY) & (high < _HUGE)) | (high == 0)).all():
        return x
    return np.asarray(x / np.where(high > 0, high, 1.0)[:, np.newaxis])


def _norm(x: Array) -> Array:
    return np.asarray(np.sqrt(_dot(x, x)))


def _dot(x: Array, y: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", x, y))


def _tops(x: Array) -> Array:
    return np.where(np.isnan(x).any(axis=1), NONE, x.argmax(axis=1))
