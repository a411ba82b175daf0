"""Asks the version that was made and the one it was made from the same, in this process and without a server."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice

from windlass.config import ModelConfig, as_executed
from windlass.errors import ConversionError, UsageError
from windlass.optimize.compare.accuracy import Accuracy
from windlass.optimize.compare.compare import Question, compare_loaded
from windlass.optimize.compare.comparison import Comparison
from windlass.optimize.compare.metric import Answered, Score
from windlass.optimize.export.loaded import Model, opened
from windlass.optimize.quantize.data import as_seen
from windlass.optimize.quantize.given import Array
from windlass.optimize.quantize.speed import Speed, in_turns
from windlass.optimize.source import Source
from windlass.repository import labels
from windlass.samples import Samples

_BATCH = 8
_REQUESTS = 16


@dataclass(frozen=True, slots=True)
class Measured:
    """Both, as they were found; ``constant`` are the outputs of floats of each that are always the same."""

    comparison: Comparison
    constant: tuple[list[str], list[str]]
    batch: int
    speeds: tuple[Speed, Speed]
    notes: tuple[str, ...]


def measured(before: Source, after: Source, samples: Samples, seconds: float) -> Measured:
    """Load both, compare them, and time them. Raises ``ConversionError`` where clients would see a difference."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(opened(source)) for source in (before, after))
        _refuse_changed(first.config, second.config)
        seen = as_seen(samples, first.config)
        watch = _Watch(Accuracy(classes=labels(before.config, before.model)) if samples.labels is not None else None)
        sides = (before.text, _AsExecuted(first)), (after.text, _AsExecuted(second))
        comparison = compare_loaded(*sides, seen, Question(watch))
        batch, requests = _requests(seen, first.config)
        one, other = in_turns((first, second), requests, batch, seconds=seconds)
    return Measured(replace(comparison, samples=samples), watch.constant, batch, (one, other), tuple(watch.notes))


class _AsExecuted:
    """A loaded version, with what its own code sees for what clients see."""

    def __init__(self, model: Model) -> None:
        self.config = as_executed(model.config)
        self.run = model.run


@dataclass(slots=True)
class _Watch:
    """Sees every output of both sides: which are always the same, and, where there are labels, which are right."""

    accuracy: Accuracy | None
    notes: list[str] = field(default_factory=list)
    _first: dict[tuple[int, str], bytes] = field(default_factory=dict)
    _varied: set[tuple[int, str]] = field(default_factory=set)
    _rows: int = 0

    def add(self, a: Mapping[str, Array], b: Mapping[str, Array]) -> None:
        """Look at the next samples."""
        self._rows += len(next(iter(a.values())))
        for side, outputs in enumerate((a, b)):
            for name, array in outputs.items():
                if array.dtype.kind in "fV":
                    self._note((side, name), [row.tobytes() for row in array])
        self._try(lambda accuracy: accuracy.add(a, b))

    def _note(self, output: tuple[int, str], rows: Sequence[bytes]) -> None:
        first = self._first.setdefault(output, rows[0])
        if any(row != first for row in rows):
            self._varied.add(output)

    def score(self, answered: Answered) -> Score:
        """Return how much less often the second is right, where that is known."""
        found = self._try(lambda accuracy: accuracy.score(answered))
        return found if isinstance(found, Score) else Score("none", 0.0, at_least=False)

    def _try(self, judged: Callable[[Accuracy], Score | None]) -> Score | None:
        """Labels may be there for something else: then they decide nothing."""
        if self.accuracy is None:
            return None
        try:
            return judged(self.accuracy)
        except UsageError as error:
            self.accuracy = None
            self.notes.append(f"labels were not used: {error.message}")
            return None

    @property
    def constant(self) -> tuple[list[str], list[str]]:
        """The outputs of each side that never differed, where there was more than one sample."""
        same = [output for output in self._first if self._rows > 1 and output not in self._varied]
        return [name for side, name in same if side == 0], [name for side, name in same if side == 1]


def _requests(samples: Samples, config: ModelConfig) -> tuple[int, list[dict[str, Array]]]:
    """Return the requests that speed is told by, which have so many samples each."""
    found = list(islice(samples.batches(max(1, min(_BATCH, config.max_batch_size))), len(samples)))
    if not samples.batched:
        return 1, found[:_REQUESTS]
    counts = [len(next(iter(request.values()))) for request in found]
    largest = [request for request, count in zip(found, counts, strict=True) if count == max(counts)]
    return max(counts), largest[:_REQUESTS]


def _refuse_changed(before: ModelConfig, after: ModelConfig) -> None:
    """Raise ``ConversionError`` where a quantiser changed what clients see."""
    for what in ("input", "output"):
        one, other = (
            [(tensor.name, tensor.data_type, tuple(tensor.dims)) for tensor in getattr(config, what)]
            for config in (before, after)
        )
        if sorted(one) != sorted(other):
            raise ConversionError(
                f"the quantiser changed the {what}s of the model",
                found=", ".join(f"`{name}` {list(dims)}" for name, _, dims in other),
                hint="export the model to another format and quantise that version",
            )
    if before.max_batch_size != after.max_batch_size:
        raise ConversionError(
            "the quantiser fixed the batch of the model",
            found=f"max_batch_size {after.max_batch_size} instead of {before.max_batch_size}",
            hint="export the model to another format and quantise that version",
        )
