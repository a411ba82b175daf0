"""Asks two versions the same, and holds their answers against each other."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from windlass.config import ModelConfig
from windlass.errors import UsageError
from windlass.optimize.compare.asking import Asked, Model, opened
from windlass.optimize.compare.comparison import Comparison
from windlass.optimize.compare.differences import WORST, Gathered
from windlass.optimize.compare.metric import Answered, Metric
from windlass.optimize.compare.pairing import Arrays, counterparts
from windlass.optimize.source import Source
from windlass.samples import Samples
from windlass.samples.samples import Array
from windlass.samples.wanted import Wanted

# Together in one request, where both take so many: enough for throughput, and little memory.
_TOGETHER = 32


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of two models besides their differences.

    ``output`` confines everything to one output, ``renamed`` has the names in B of inputs and outputs that have others
    in A, ``worst`` is how many samples are shown of each output.
    """

    metric: Metric | None = None
    output: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    worst: int = WORST


def compare(
    a: Source, b: Source, samples: Samples | Callable[[ModelConfig], Samples], question: Question | None = None
) -> Comparison:
    """Load both, ask them the same samples, and sum up; ``samples`` may be made from A's completed configuration.

    Raises ``ModelLoadError`` where one does not load, ``BackendError`` where one does not answer, and ``UsageError``
    where they cannot be asked the same.
    """
    question = question or Question()
    with ExitStack() as stack:
        first, second = (stack.enter_context(opened(source)) for source in (a, b))
        given = samples if isinstance(samples, Samples) else samples(first.config)
        return compare_loaded((a.text, first), (b.text, second), given, question)


def compare_loaded(a: tuple[str, Model], b: tuple[str, Model], samples: Samples, question: Question) -> Comparison:
    """Compare two models that are loaded, each with its name; see ``compare``."""
    wanted = Wanted.of(a[1].config)
    known = {*wanted.inputs, *(output.name for output in a[1].config.output)}
    for name in question.renamed.keys() - known:
        raise UsageError(f"A has neither an input nor an output `{name}`", found=", ".join(sorted(known)))
    sides = (
        Asked("A", a[1], wanted, {name: name for name in wanted.inputs}),
        Asked.like("B", b[1], wanted, question.renamed),
    )
    gathered = Gathered(question.renamed, question.worst)
    for outputs in _answers(sides, samples):
        chosen = _chosen(*outputs, question)
        gathered.add(*chosen)
        if question.metric:
            question.metric.add(chosen[0], _under_names_of_a(*chosen, question.renamed))
    differences = gathered.differences()
    score = question.metric.score(Answered(differences, samples.labels)) if question.metric else None
    return Comparison(a[0], b[0], samples, differences, score, sides[1].notes)


def _answers(sides: tuple[Asked, Asked], samples: Samples) -> Iterator[tuple[Arrays, Arrays]]:
    at = 0
    for batch in samples.batches(_size(sides)):
        inputs = batch if samples.batched else {name: array[np.newaxis] for name, array in batch.items()}
        count = len(next(iter(inputs.values())))
        origin = samples.origin(at) if count == 1 else f"{samples.origin(at)} and the {count - 1} after it"
        first, second = (side.answer(inputs, origin) for side in sides)
        yield first, second
        at += count


def _size(sides: tuple[Asked, Asked]) -> int:
    return max(1, min(_TOGETHER, *(side.model.config.max_batch_size for side in sides)))


def _chosen(a: Arrays, b: Arrays, question: Question) -> tuple[Arrays, Arrays]:
    """Leave only the output that is asked about."""
    name = question.output
    if not name:
        return a, b
    if name not in a:
        raise UsageError(
            f"A has no output `{name}`", found=", ".join(f"`{other}`" for other in a), hint="name one of them"
        )
    names, _ = counterparts([name], b, question.renamed)
    return {name: a[name]}, {other: b[other] for other in names.values()}


def _under_names_of_a(a: Arrays, b: Arrays, renamed: Mapping[str, str]) -> dict[str, Array]:
    names, _ = counterparts(a, b, renamed)
    left = (name for name in b if name not in names.values())
    return {name: b[other] for name, other in chain(names.items(), ((name, name) for name in left))}
