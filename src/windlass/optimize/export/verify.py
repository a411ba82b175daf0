"""Whether an export answers as the original does: both are asked the same, and every output is compared.

The original is asked first and closed, so that the two are never in memory together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from windlass.errors import BackendError, DifferenceError, UsageError
from windlass.optimize.export.difference import OutputCheck, check, worst
from windlass.optimize.export.loaded import Model
from windlass.optimize.export.probes import Probe, Size
from windlass.optimize.quiet import sentence

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the original answers to a probe."""

    probe: Probe
    outputs: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A probe that the original does not take, and why."""

    size: Size
    reason: str


def ask(model: Model, probes: Iterable[Probe]) -> tuple[list[Answer], list[Refusal]]:
    """Return what the original answers, and what it refuses: sizes that it does not take are not asked of the export.

    Raises ``UsageError`` where it does not take what a person gave.
    """
    answers, refusals = [], []
    for probe in probes:
        try:
            answers.append(_answer(model, probe))
        except BackendError as error:
            if probe.given:
                raise UsageError(
                    f"the model does not take the given inputs ({probe.size.text}): {sentence(error.message)}",
                    hint="give what it takes: `windlass inspect` tells its inputs",
                ) from None
            refusals.append(Refusal(probe.size, sentence(error.message)))
    if not answers:
        raise UsageError(
            f"the model takes no input that is generated: {refusals[0].reason}", hint="give inputs with `--data`"
        )
    return answers, refusals


def _answer(model: Model, probe: Probe) -> Answer:
    outputs = model.run(probe.inputs)
    for name, array in outputs.items():
        if probe.size.batch and array.shape[:1] != (probe.size.batch,):
            raise BackendError(f"output `{name}` has shape {list(array.shape)} for a batch of {probe.size.batch}")
    return Answer(probe, outputs)


def refuse_unsteady(model: Model, answers: Sequence[Answer]) -> None:
    """Raise ``DifferenceError`` for a model that answers the same question differently: nothing can be compared."""
    answer = answers[-1]
    for name, found in model.run(answer.probe.inputs).items():
        first = answer.outputs[name]
        if first.shape != found.shape or not check(name, first, found, answer.probe.size.text, None).passes:
            raise DifferenceError(
                f"output `{name}` of the original is another one each time it is asked the same",
                hint="make it from the module in eval mode (`module.eval()`), and without random operators",
            )


def compare(model: Model, answers: Sequence[Answer], tolerance: float | None = None) -> list[OutputCheck]:
    """Ask the export what the original was asked. Raises ``DifferenceError`` where it does not take it."""
    checks: dict[str, list[OutputCheck]] = {}
    for answer in answers:
        size = answer.probe.size.text
        try:
            found = model.run(answer.probe.inputs)
        except BackendError as error:
            raise DifferenceError(
                f"the export does not take {size}, which the original takes: {sentence(error.message)}",
                hint="a size of the example became part of the model: make the original with that axis open",
            ) from None
        for name, expected in answer.outputs.items():
            checks.setdefault(name, []).append(check(name, expected, found[name], size, tolerance))
    return [worst(found) for found in checks.values()]
