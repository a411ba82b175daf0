"""From what a person typed to a study: the model looked at, the data read, the work folder found."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from windlass.config import ModelConfig, parse_text
from windlass.config.ensemble import is_ensemble
from windlass.errors import BackendError, ConversionError, UsageError
from windlass.optimize.tune.measure.children import ask
from windlass.optimize.tune.measure.machine import this_machine
from windlass.optimize.tune.measure.questions import Questions
from windlass.optimize.tune.search.accuracy import DEFAULT_COSINE, DEFAULT_DROP, Requirement
from windlass.optimize.tune.search.journal import Journal
from windlass.optimize.tune.search.objective import Objective
from windlass.optimize.tune.study import Study, identity, key
from windlass.repository import ModelEntry

LOOK_S = 300.0
# Below this not even a small model can be exported and served.
LEAST_BUDGET_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person asked for. Without ``accuracy_drop`` and ``min_cosine`` labels decide which of them it is."""

    entry: ModelEntry
    version: int
    objective: Objective
    accuracy_drop: float | None = None
    min_cosine: float | None = None
    data: Path | None = None
    budget_s: float = 600.0
    seed: int = 0
    work: Path | None = None
    afresh: bool = False


@contextmanager
def begun(order: Order) -> Iterator[tuple[Study, Journal]]:
    """Yield a study and the journal of what was done of it before; nobody else works on it until the block ends.

    Raises ``WindlassError`` with what is wrong with the model, the data or the wishes.
    """
    _refuse(order)
    questions = Questions(str(order.data.absolute()) if order.data else None, order.seed)
    config = _config(order)
    labelled = questions.samples(config).labels is not None
    requirement, machine = _requirement(order, labelled=labelled), this_machine()
    about = identity(order.entry, order.version, machine, order.objective, requirement, questions)
    folder = (order.work or _cache()) / f"{order.entry.name}-{key(about)}"
    with _alone(folder):
        file = folder / "journal.jsonl"
        if order.afresh:
            file.unlink(missing_ok=True)
        study = Study(
            entry=order.entry,
            version=order.version,
            config=config,
            machine=machine,
            objective=order.objective,
            requirement=requirement,
            questions=questions,
            budget_s=order.budget_s,
            folder=folder,
        )
        yield study, Journal.open(file, about)


def _refuse(order: Order) -> None:
    if order.budget_s < LEAST_BUDGET_S:
        raise UsageError(
            f"a budget of {order.budget_s:g} s is too short to measure anything",
            hint=f"give at least {LEAST_BUDGET_S:g}s; ten minutes (`--budget 10m`) do for most models",
        )
    if order.data is not None and not order.data.exists():
        raise UsageError(f"there is no `{order.data}`", hint="name a file or a folder of samples with --data")
    config = order.entry.config_of(order.version) or ModelConfig()
    if is_ensemble(config):
        raise ConversionError(
            f"`{order.entry.name}` is an ensemble, which computes nothing itself",
            hint="optimise the models of its steps, one by one",
        )
    if config.model_transaction_policy.decoupled:
        raise ConversionError(
            f"`{order.entry.name}` answers a request any number of times, so there is no throughput to compare",
            hint="measure it with `windlass bench`",
        )


def _config(order: Order) -> ModelConfig:
    """Return what the user wrote, with what a load completes: the engine, the largest batch, inputs and outputs.

    Defaults stay unwritten: they are no business of the versions that are made of it.
    """
    job = {"kind": "look", "model": str(order.entry.path.absolute()), "version": order.version}
    try:
        told = [message["config"] for message in ask(job, LOOK_S)]
    except TimeoutError:
        raise BackendError(
            f"`{order.entry.name}:{order.version}` was not loaded after {LOOK_S:.0f} s",
            hint="`windlass check` loads it without a time limit, and tells what it finds",
        ) from None
    full = parse_text(told[0], str(order.entry.config_path_of(order.version)))
    config = ModelConfig()
    config.CopyFrom(order.entry.config_of(order.version) or full)
    config.ClearField("version_policy")
    config.ClearField("platform")
    config.backend, config.max_batch_size = full.backend, full.max_batch_size
    config.ClearField("input")
    config.ClearField("output")
    config.input.extend(full.input)
    config.output.extend(full.output)
    return config


def _requirement(order: Order, *, labelled: bool) -> Requirement:
    if order.accuracy_drop is not None and not labelled:
        where = f"`{order.data}` has none" if order.data else "there is no --data"
        raise UsageError(
            f"--accuracy-drop needs samples with labels: {where}",
            hint="use --min-cosine, or data with labels: a folder for each class, or `labels` in an .npz",
        )
    if order.accuracy_drop is None and (order.min_cosine is not None or not labelled):
        return Requirement(min_cosine=DEFAULT_COSINE if order.min_cosine is None else order.min_cosine)
    return Requirement(None, DEFAULT_DROP if order.accuracy_drop is None else order.accuracy_drop)


def _cache() -> Path:
    """Return where work lies that may be thrown away."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "windlass" / "optimize"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep others out of a work folder; the lock goes with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / "lock").open("w")
    except OSError as error:
        raise UsageError(
            f"cannot work in `{folder}`: {error.strerror}", hint="name another folder with --work"
        ) from None
    with opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"another run works in `{folder}`", hint="wait until it is done, or end it and run this again"
            ) from None
        yield
