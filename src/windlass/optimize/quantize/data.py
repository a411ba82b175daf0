"""Which samples show ranges, and which ones are compared: values only.

The samples that ranges were taken from flatter a comparison: others are compared, where there are enough.
"""

from dataclasses import dataclass, replace

import numpy as np

from windlass.config import ModelConfig, as_executed
from windlass.errors import UsageError
from windlass.samples import Samples, generate
from windlass.samples.samples import Row

# More show the same ranges, as the makers of the quantisers found.
CALIBRATING = 300
COMPARED = 300
GENERATED = 64
# Fewer than this are said to be few.
_FEW = 32
# The least that is left for a comparison of its own.
_REST = 20


@dataclass(frozen=True, slots=True)
class Parts:
    """``calibration`` is there where ranges are needed; ``notes`` say what one should know of the choice."""

    calibration: Samples | None
    compared: Samples
    notes: tuple[str, ...] = ()


def parts(config: ModelConfig, to: str, calibration: Samples | None, data: Samples | None) -> Parts:
    """Share out what a person has. Raises ``UsageError`` where ranges are needed and nothing shows them."""
    if to != "int8":
        return _compared(config, calibration if data is None else data)
    calibration = fit(calibration)
    shuffled = np.random.default_rng(0).permutation(len(calibration))
    enough = min(CALIBRATING, max(len(shuffled) // 2, len(shuffled) - COMPARED))
    few = (
        (f"{len(calibration)} samples are few to read ranges off: 100 to 300 are usual",)
        if len(calibration) < _FEW
        else ()
    )
    if data is not None:
        return Parts(_some(calibration, shuffled[:CALIBRATING]), _first(data), few)
    if len(shuffled) - enough < _REST:
        note = "compared on the samples that the ranges were read off: name others with `--data`"
        return Parts(calibration, calibration, (*few, note))
    rest = shuffled[enough : enough + COMPARED]
    return Parts(_some(calibration, shuffled[:enough]), _some(calibration, rest), few)


def _compared(config: ModelConfig, data: Samples | None) -> Parts:
    if data is not None:
        return Parts(None, _first(data))
    note = "compared on generated inputs, which are not what people ask: name real ones with `--data`"
    return Parts(None, generate(config, GENERATED), (note,))


def fit(samples: Samples | None) -> Samples:
    """Return samples that ranges can be read off. Raises ``UsageError`` for those that show none."""
    if samples is None:
        raise UsageError(
            "`--to int8` needs calibration data: the ranges of what the model computes are read off real inputs",
            found="none, and made-up inputs have other ranges than real ones",
            hint="add `--calibration DATA` with 100 to 300 real inputs, or choose `--to int8-dynamic` without",
        )
    if not samples.rows:
        raise UsageError(f"`{samples.source}` holds no samples", hint="100 to 300 real inputs are usual")
    first = samples.rows[0]
    if len(samples.rows) > 1 and all(_same(row, first) for row in samples.rows[1:]):
        raise UsageError(
            f"all {len(samples.rows)} samples of `{samples.source}` are the same, so they show no ranges",
            hint="give 100 to 300 different real inputs",
        )
    return samples


def as_seen(samples: Samples, config: ModelConfig) -> Samples:
    """Return samples in the shapes that the model's own code sees, where the server reshapes what clients send."""
    seen = {tensor.name: tuple(tensor.dims) for tensor in as_executed(config).input}
    changed = {tensor.name for tensor in config.input if tensor.HasField("reshape")}
    if not changed:
        return samples
    rows = tuple(
        {name: array.reshape(seen[name]) if name in changed else array for name, array in row.items()}
        for row in samples.rows
    )
    return replace(samples, rows=rows)


def _same(row: Row, other: Row) -> bool:
    return row.keys() == other.keys() and all(np.array_equal(row[name], other[name]) for name in row)


def _first(samples: Samples) -> Samples:
    """Return as many as are compared, from everywhere: folders are sorted by what they show."""
    if len(samples) <= COMPARED:
        return samples
    return _some(samples, np.random.default_rng(0).permutation(len(samples))[:COMPARED])


def _some(samples: Samples, places: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Samples:
    chosen = sorted(int(place) for place in places)
    return replace(
        samples,
        rows=tuple(samples.rows[place] for place in chosen),
        labels=None if samples.labels is None else samples.labels[chosen],
        origins=tuple(samples.origin(place) for place in chosen),
    )
