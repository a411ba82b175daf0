"""Whether a version with fewer bits can stand in for the one it was made from. Pure.

A cosine of 0.99 is 8 degrees: nearer neighbours than that change places. Where the right answers are known they decide,
since a model may be as often right with other numbers.
"""

from collections.abc import Iterator

from windlass.optimize.compare.comparison import Comparison
from windlass.optimize.compare.differences import OutputDifference
from windlass.optimize.quantize.report import Floor

# Of outputs without a direction: how far one value may be away, in terms of itself; how many whole ones may differ.
_RELATIVE = 0.1
_UNEQUAL = 0.05


def faults(comparison: Comparison, constant: tuple[list[str], list[str]], floor: Floor) -> Iterator[str]:
    """Yield what makes it useless; ``constant`` are the outputs of each side that are always the same."""
    yield from comparison.faults
    before, after = constant
    for name in before:
        yield f"output `{name}` is the same whatever `{comparison.a}` is asked, so nothing can be told by it"
    for name in after:
        if name not in before:
            yield f"output `{name}` became the same whatever it is asked"
    score = comparison.score
    if score is not None and score.a is not None and score.b is not None:
        if score.value > floor.accuracy_drop:
            yield (
                f"it is right for {score.b:.1%} of {len(comparison.samples)} samples instead of {score.a:.1%}; "
                f"{floor.accuracy_drop:.1%} less are allowed"
            )
        return
    for output in comparison.differences.outputs.values():
        if output.name not in (*before, *after):
            yield from _far(output, floor)


def _far(output: OutputDifference, floor: Floor) -> Iterator[str]:
    if output.cosine is not None:
        if output.cosine < floor.cosine:
            yield f"output `{output.name}` has a cosine of {output.cosine:.4f} to the original's, below {floor.cosine}"
    elif output.relative is not None:
        if output.relative > _RELATIVE:
            yield f"output `{output.name}` is up to {output.relative:.0%} away, above {_RELATIVE:.0%}"
    elif output.unequal > _UNEQUAL:
        yield f"{output.unequal:.1%} of output `{output.name}` is another, above {_UNEQUAL:.0%}"
