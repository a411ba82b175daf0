"""Whether the answers of an original show anything: numbers, and not the same ones whatever it is asked."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from windlass.errors import DifferenceError
from windlass.optimize.export.difference import FLOATS
from windlass.optimize.export.verify import Answer
from windlass.samples import Samples

Array = np.ndarray[Any, Any]


def differ(samples: Samples) -> bool:
    """Tell whether there are several different rows to tell anything by."""
    first = samples.rows[0]
    return any(not np.array_equal(row[name], first[name]) for row in samples.rows[1:] for name in first)


def refuse_nan(answers: Sequence[Answer], given: str) -> None:
    """Raise ``DifferenceError`` where an output has a value that is no number."""
    for answer in answers:
        for name, array in answer.outputs.items():
            if array.dtype.kind in FLOATS and np.isnan(array.astype(np.float32)).any():
                raise DifferenceError(
                    f"output `{name}` of the original holds NaN ({answer.probe.size.text})",
                    found=f"inputs: {given}",
                    hint="give inputs that mean something with `--data`, or mend the model: NaN equals nothing",
                )


def constant_outputs(answers: Sequence[Answer], *, batched: bool) -> list[str]:
    """Return the outputs that were the same for every row, where there were several different ones to tell by."""
    rows: dict[str, dict[tuple[int, ...], list[Array]]] = defaultdict(lambda: defaultdict(list))
    for answer in answers:
        for name, array in answer.outputs.items():
            rows[name][array.shape[batched:]].extend(_rows(array, batched))
    return [name for name, by_shape in rows.items() if _never_differs(by_shape.values())]


def refuse_constants(names: Sequence[str], answers: Sequence[Answer], given: str) -> None:
    """Raise ``DifferenceError`` for floats that are constant; others may well be so for a few inputs."""
    kinds = {name: array.dtype.kind for name, array in answers[0].outputs.items()}
    floats = [name for name in names if kinds[name] in FLOATS]
    if floats:
        raise DifferenceError(
            f"output `{floats[0]}` of the original is the same whatever it is asked, so nothing can be told by it",
            found=f"inputs: {given}",
            hint="give other inputs with `--data`, or accept it as it is with `--allow-constant`",
        )


def _rows(array: Array, batched: bool) -> Iterator[Array]:
    return iter(array) if batched else iter([array])


def _never_differs(groups: Any) -> bool:
    compared = False
    for rows in groups:
        first = rows[0]
        if any(not np.array_equal(row, first) for row in rows[1:]):
            return False
        compared = compared or len(rows) > 1
    return compared
