"""What models answer to samples: asked, written down, read again, and held against each other."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from windlass.errors import UsageError
from windlass.optimize.compare.accuracy import Accuracy as TaskAccuracy
from windlass.optimize.compare.accuracy import predictions
from windlass.optimize.compare.differences import Gathered, OutputDifference
from windlass.optimize.compare.metric import Answered
from windlass.optimize.tune.search.accuracy import Accuracy
from windlass.samples import Samples
from windlass.samples.samples import Array

Answer = dict[str, Array]
Classes = Mapping[str, Sequence[str]]
NONE: Classes = {}

# As many samples are asked together as any engine takes, and so few that a slow one is not asked for minutes.
_TOGETHER = 4
_LEAST_SAMPLES = 8


def given(
    run: Callable[[Answer], Answer], samples: Samples, *, seconds: float = 0.0, count: int | None = None
) -> list[Answer]:
    """Return the answers to ``count`` samples; or to as many as are answered in some seconds, and to a few at least."""
    said: list[Answer] = []
    asked, until = 0, time.monotonic() + seconds
    for inputs in samples.batches(_TOGETHER):
        over = asked >= count if count is not None else asked >= _LEAST_SAMPLES and time.monotonic() > until
        if over:
            break
        said.append({name: np.array(array) for name, array in run(inputs).items()})
        asked += _rows(inputs, samples)
    return said


def count(said: Sequence[Answer], samples: Samples) -> int:
    """Return how many samples were answered."""
    return sum(_rows(inputs, samples) for inputs in islice(samples.batches(_TOGETHER), len(said)))


def _rows(inputs: Answer, samples: Samples) -> int:
    return len(next(iter(inputs.values()))) if samples.batched else 1


def refuse_nonsense(said: Sequence[Answer]) -> None:
    """Raise ``UsageError`` where answers of the original tell nothing that others could be held against."""
    hint = "ask it about real inputs: `--data FILE`"
    for name in said[0]:
        if not any(_finite(answer[name]) for answer in said):
            raise UsageError(f"the model itself answers NaN or infinity: output `{name}`", hint=hint)
    if len(said) > 1 and all(_same(said, name) for name in said[0]):
        names = ", ".join(f"`{name}`" for name in said[0])
        raise UsageError(
            f"the model answers the same to all samples: no change of accuracy would show in {names}", hint=hint
        )


def _finite(array: Array) -> bool:
    return array.dtype.kind not in "fV" or bool(np.isfinite(array.astype(np.float64)).all())


def _same(said: Sequence[Answer], name: str) -> bool:
    first = said[0][name][:1]
    return all(bool((answer[name] == first).all()) for answer in said if answer[name].shape[1:] == first.shape[1:])


def keep(said: Sequence[Answer], file: Path) -> None:
    """Write answers down, whole or not at all."""
    fresh = file.with_suffix(".fresh.npz")
    arrays: dict[str, Any] = {
        f"{place}/{name}": _savable(array) for place, answer in enumerate(said) for name, array in answer.items()
    }
    np.savez(fresh, **arrays)
    fresh.replace(file)


def kept(file: Path) -> list[Answer]:
    """Read answers that were written down."""
    said: dict[int, Answer] = {}
    with np.load(file, allow_pickle=True) as read:
        for key in read.files:
            place, _, name = key.partition("/")
            said.setdefault(int(place), {})[name] = read[key]
    return [said[place] for place in sorted(said)]


def _savable(array: Array) -> Array:
    """Numpy writes no bfloat16."""
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def compared(before: Sequence[Answer], after: Sequence[Answer], samples: Samples, classes: Classes = NONE) -> Accuracy:
    """Hold answers against those of the original. ``classes`` are the names of an output's places, for labels by name.

    Raises ``UsageError`` where labels mean nothing to the model.
    """
    gathered, metric = Gathered({}), _metric(before, samples, classes)
    for old, new in zip(before, after, strict=True):
        # Without a batch axis every answer is one sample.
        gathered.add(*((old, new) if samples.batched else (_alone(old), _alone(new))))
        if metric is not None and new.keys() >= old.keys():
            metric.add(old, new)
    found, answered = gathered.differences(), count(before, samples)
    labels = None if samples.labels is None else samples.labels[:answered]
    task = metric.score(Answered(found, labels)) if metric is not None and not found.faults else None
    return Accuracy(
        samples=answered,
        cosine=min((_likeness(output) for output in found.outputs.values()), default=1.0),
        max_abs=found.max_abs,
        top1_agreement=found.top1_agreement,
        task=None if task is None else task.b,
        task_before=None if task is None else task.a,
        faults=found.faults,
    )


def _metric(before: Sequence[Answer], samples: Samples, classes: Classes) -> TaskAccuracy | None:
    """Return what counts right answers, where there are labels and an output that names a class."""
    told = any(predictions(array) is not None for array in before[0].values()) if samples.batched else False
    return TaskAccuracy(classes=classes) if samples.labels is not None and told else None


def _alone(answer: Answer) -> Answer:
    return {name: array[np.newaxis] for name, array in answer.items()}


def _likeness(output: OutputDifference) -> float:
    """Return the mean cosine, or where there is none what comes nearest.

    That is, of single values, the cosine that a difference of that size would have in any direction; of whole numbers
    and texts the share that is equal.
    """
    if output.cosine is not None:
        return output.cosine
    if output.relative is not None:
        return 1 - output.relative**2 / 2
    return 1 - output.unequal
