"""One version of a model in another format: made, checked against the first, and put among the versions."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from windlass.config import ModelConfig
from windlass.errors import BackendError, ConversionError
from windlass.optimize.export.checked import Different, Exported, Wishes
from windlass.optimize.export.difference import OutputCheck
from windlass.optimize.export.loaded import opened
from windlass.optimize.export.original import format_and_file
from windlass.optimize.export.probes import probes, summary
from windlass.optimize.export.routes import TITLES, converter
from windlass.optimize.export.verify import Answer, Refusal, ask, compare, refuse_unsteady
from windlass.optimize.export.worth import constant_outputs, differ, refuse_constants, refuse_nan
from windlass.optimize.export.write import generated, original_of, refuse_ragged, write_original
from windlass.optimize.quiet import sentence
from windlass.optimize.room import size
from windlass.optimize.source import Source
from windlass.repository import ModelEntry
from windlass.repository.staging import new_version

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The original, and what it answered."""

    config: ModelConfig
    inputs: str
    answers: list[Answer]
    refused: list[Refusal]
    constant: list[str]

    @property
    def example(self) -> Answer:
        """The answer whose sizes are least special."""
        return max(self.answers, key=lambda answer: (min(answer.probe.size.batch, 2), not answer.probe.size.axes))


def export_version(
    entry: ModelEntry, version: int, to: str, wishes: Wishes, tell: Tell, *, keep: bool = True
) -> Exported:
    """Make a new version of a model in another format. What is served stays as it is.

    Without ``keep`` it is only tried. Raises ``ConversionError`` where it cannot be converted, ``DifferenceError``
    where it does not answer as the original does or that cannot be told, ``RoomError`` where memory or disk are too
    small; in all these cases, and after an interruption, nothing is left of it.
    """
    source = Source.of(entry, version)
    converter(format_and_file(source)[0], to, source)
    tell(f"asking `{source.text}`")
    asked = _asked(source, wishes)
    original = original_of(source, asked.config, asked.example.probe.inputs)
    with _place(entry, keep=keep) as (number, folder):
        tell(f"converting {size(original.size_bytes)} to {TITLES[to]}")
        config = write_original(original, folder, to)
        tell(f"asking the export the same, at {len(asked.answers)} sizes")
        checks = _compared(replace(source, config=config, folder=folder, version=number), asked, wishes)
        exported = Exported(
            to,
            number,
            config,
            asked.inputs,
            sum(path.stat().st_size for path in folder.iterdir()),
            tuple(checks),
            tuple(answer.probe.size for answer in asked.answers),
            tuple(asked.refused),
            tuple(asked.constant),
        )
        if not exported.passes:
            raise Different(exported)
    return exported


def _compared(made: Source, asked: _Asked, wishes: Wishes) -> list[OutputCheck]:
    try:
        with opened(made) as model:
            return compare(model, asked.answers, wishes.tolerance)
    except BackendError as error:
        fixed = "make the original with its batch and its other axes open" if asked.refused else ""
        raise ConversionError(
            f"what `{made.name}` was converted to cannot be served: {sentence(error.message)}",
            found=f"the original was only asked at {summary([answer.probe.size for answer in asked.answers])}",
            hint=fixed or "export to another format, whose engine has these operators",
        ) from error


def _asked(source: Source, wishes: Wishes) -> _Asked:
    with opened(source) as model:
        refuse_ragged(source, model.config)
        samples = wishes.given(model.config) if wishes.given else generated(model.config)
        answers, refused = ask(model, probes(model.config, samples, given=wishes.given is not None))
        refuse_nan(answers, samples.source)
        refuse_unsteady(model, answers)
        config = model.config
    constant = constant_outputs(answers, batched=config.max_batch_size > 0) if differ(samples) else []
    if not wishes.allow_constant:
        refuse_constants(constant, answers, samples.source)
    return _Asked(config, samples.source, answers, refused, constant)


@contextmanager
def _place(entry: ModelEntry, *, keep: bool) -> Iterator[tuple[int, Path]]:
    """Yield the number of the version and a folder for it; only what is kept becomes one."""
    if keep:
        with new_version(entry) as staged:
            yield staged.version, staged.folder
    else:
        with tempfile.TemporaryDirectory(prefix="windlass-export-") as folder:
            yield 0, Path(folder)
