"""Runs a version once, before anybody is served by it, and holds what it does against what it declares."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from windlass.config import Finding, ModelConfig
from windlass.config.datatypes import BY_NUMBER, of_array
from windlass.errors import UsageError, WindlassError
from windlass.repository import ModelEntry
from windlass.samples import Samples, generate
from windlass.serving.solo import Solo, solo

Array = np.ndarray[Any, Any]
Outputs = Mapping[str, Array]

_SAMPLES = 6
# Ranges of integers until the model takes one: places in tables, of which some are short.
_BELOW = (100, 2)
# Sizes of open dimensions until the model takes one: texts are short, images must not vanish on the way.
_OPEN_SIZES = (16, 32, 64, 224)


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of running a version. ``splits`` tells whether rows of a batch are answered like single requests."""

    samples: Samples
    findings: tuple[Finding, ...]
    splits: bool = True

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep it from being served."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def run_once(entry: ModelEntry, version: int, given: Samples | None) -> Trial:
    """Load a version as serving would, ask it about a few samples, one by one and together, and judge the answers.

    Raises ``ModelLoadError`` where it does not load, ``UsageError`` where it takes none of the samples.
    """
    with solo(entry, version) as model:
        samples, answers = _asked(model, given)
        findings = [*_misshapen(model.config, answers), *_strange(answers, samples)]
        return Trial(samples, tuple(findings), _splits(model, samples, answers))


def _asked(model: Solo, given: Samples | None) -> tuple[Samples, list[Outputs]]:
    """Ask about the samples one by one; of generated ones the first size that the model takes."""
    has_open = any(size < 0 for tensor in model.config.input for size in tensor.dims)
    sizes = _OPEN_SIZES if has_open else _OPEN_SIZES[:1]
    failure: WindlassError | None = None
    for below, size in product(_BELOW, sizes):
        samples = given or generate(model.config, _SAMPLES, open_size=size, below=below)
        try:
            return samples, [model.run(inputs) for inputs in samples.batches(1)]
        except WindlassError as error:
            failure = error
        if given:
            break
    raise UsageError(
        f"model `{model.name}` fails on inputs {samples.source}: {failure}",
        hint="`--data FILE` runs it with inputs of yours, `--no-run` adds it untried",
    )


def _misshapen(config: ModelConfig, answers: Sequence[Outputs]) -> Iterator[Finding]:
    """Compare outputs with what the configuration declares of them."""
    for output in config.output:
        array = answers[0].get(output.name)
        dims = [*([1] if config.max_batch_size > 0 else []), *output.dims]
        declared = BY_NUMBER[output.data_type]
        if array is None:
            yield Finding(config.name, f"output `{output.name}` is missing from the answer")
        elif of_array(array.dtype) != declared:
            yield Finding(
                config.name, f"output `{output.name}`: expected {declared.wire}, got {of_array(array.dtype).wire}"
            )
        elif len(dims) != array.ndim or any(size not in (-1, got) for size, got in zip(dims, array.shape, strict=True)):
            yield Finding(config.name, f"output `{output.name}`: expected shape {dims}, got {list(array.shape)}")


def _strange(answers: Sequence[Outputs], samples: Samples) -> Iterator[Finding]:
    """Look at the values: numbers that are none, and outputs that do not depend on what is asked."""
    for name in answers[0]:
        yield from _not_finite(name, [answer[name] for answer in answers], samples)
    if all(_constant([row[name] for row in samples.rows]) for name in samples.rows[0]):
        return
    alike = [name for name in answers[0] if _constant([answer[name] for answer in answers])]
    # Classes often are alike where their probabilities are not.
    told = alike if len(alike) == len(answers[0]) else [name for name in alike if answers[0][name].dtype.kind == "f"]
    if told:
        names = ", ".join(f"`{name}`" for name in told)
        message = f"output {names}: the same for {len(answers)} different inputs, {samples.source}"
        hint = "are these the trained weights? `--data FILE` runs it with inputs of yours"
        yield Finding(samples.source, message, hint, "warning")


def _constant(arrays: Sequence[Array]) -> bool:
    first = arrays[0]
    return bool(first.size) and all(array.shape == first.shape and bool((array == first).all()) for array in arrays)


def _not_finite(name: str, arrays: Sequence[Array], samples: Samples) -> Iterator[Finding]:
    floats = [array.astype(np.float64) for array in arrays if array.dtype.kind == "f" or array.dtype.name == "bfloat16"]
    total = sum(array.size for array in floats)
    for what, found in (("NaN", np.isnan), ("infinite", np.isinf)):
        count = sum(int(found(array).sum()) for array in floats)
        if count:
            yield Finding(
                name,
                f"output `{name}`: {count} of {total} numbers are {what} for inputs {samples.source}",
                "`--data FILE` runs it with inputs of yours, `--no-run` adds it as it is",
            )


def _splits(model: Solo, samples: Samples, answers: Sequence[Outputs]) -> bool:
    """Ask about all samples together, and tell whether every row is answered as if it had come alone."""
    alike = {tuple(sorted((name, array.shape) for name, array in row.items())) for row in samples.rows}
    if not samples.batched or len(samples) < 2 or len(alike) > 1 or model.config.max_batch_size < len(samples):
        return True
    try:
        (together,) = [model.run(inputs) for inputs in samples.batches(len(samples))]
    except WindlassError:
        return False
    return all(
        _close(together[name][row : row + 1], answer[name]) for row, answer in enumerate(answers) for name in answer
    )


def _close(row: Array, alone: Array) -> bool:
    if row.shape != alone.shape:
        return False
    if alone.dtype.kind in "OSU":
        return bool((row == alone).all())
    one, other = row.astype(np.float64), alone.astype(np.float64)
    scale = float(np.nanmax(np.abs(other), initial=0.0, where=np.isfinite(other)))
    return bool(np.allclose(one, other, rtol=1e-2, atol=1e-2 * max(scale, 1e-3), equal_nan=True))
