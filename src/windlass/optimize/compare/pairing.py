"""Which output of one model is held against which of another. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from windlass.config.datatypes import of_array
from windlass.errors import UsageError
from windlass.optimize.compare.measured import kind
from windlass.samples.samples import Array

Arrays = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Outputs that can be measured, under their names in A; what was noticed, and what cannot be measured and why."""

    outputs: dict[str, tuple[Array, Array]]
    notes: tuple[str, ...]
    faults: tuple[str, ...]


def counterparts(
    a: Iterable[str], b: Iterable[str], renamed: Mapping[str, str], what: str = "output"
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the name in B of each tensor of A, and a note where it was guessed.

    Names that are the same belong together, unless ``renamed`` says otherwise; so do the only tensors of both sides,
    whatever their names. Raises ``UsageError`` for a new name of something that is not there.
    """
    of_a, of_b = list(a), list(b)
    for old, new in renamed.items():
        if old in of_a and new not in of_b:
            raise UsageError(f"B has no {what} `{new}`", found=", ".join(of_b) or "none")
    names = {name: renamed.get(name, name) for name in of_a}
    if len(of_a) == len(of_b) == 1 and names[of_a[0]] != of_b[0]:
        return {of_a[0]: of_b[0]}, (f"{what} `{of_a[0]}` of A is compared with `{of_b[0]}` of B, the only one there",)
    return {name: new for name, new in names.items() if new in of_b}, ()


def pair(a: Arrays, b: Arrays, renamed: Mapping[str, str]) -> Pairs:
    """Find the outputs that belong together; the first axis of every array is that of the samples."""
    names, guessed = counterparts(a, b, renamed)
    notes, faults = list(guessed), [f"B has no output `{name}`" for name in a if name not in names]
    notes += [f"output `{name}` is only in B" for name in b if name not in names.values()]
    outputs = {}
    for name, other in names.items():
        fault = _fault(name, a[name], b[other])
        if fault:
            faults.append(fault)
            continue
        notes += _notes(name, a[name], b[other])
        outputs[name] = (a[name], b[other].reshape(a[name].shape))
    return Pairs(outputs, tuple(notes), tuple(faults))


def _fault(name: str, a: Array, b: Array) -> str:
    if (kind(a) == "text") != (kind(b) == "text"):
        return f"output `{name}`: A gives {_type(a)}, B gives {_type(b)}: strings and numbers cannot be compared"
    if len(a) != len(b):
        return f"output `{name}`: A gives {len(a)} samples, B gives {len(b)}"
    if _squeezed(a) != _squeezed(b):
        return f"output `{name}`: A gives samples of shape {_shape(a)}, B gives {_shape(b)}"
    return ""


def _notes(name: str, a: Array, b: Array) -> list[str]:
    notes = []
    if _type(a) != _type(b):
        notes.append(f"output `{name}`: A gives {_type(a)}, B gives {_type(b)}: their values are compared")
    if a.shape != b.shape:
        notes.append(
            f"output `{name}`: A gives samples of shape {_shape(a)}, B gives {_shape(b)}: compared as if they were one"
        )
    return notes


def _type(array: Array) -> str:
    return of_array(array.dtype).wire


def _shape(array: Array) -> list[int]:
    return list(array.shape[1:])


def _squeezed(array: Array) -> list[int]:
    return [size for size in array.shape[1:] if size != 1]
