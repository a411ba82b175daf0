"""The commands that lead to a candidate, step by step, for people who want to do it themselves."""

import shlex
from collections.abc import Iterator

from windlass.optimize.tune.outcome import Outcome
from windlass.optimize.tune.space import Candidate
from windlass.optimize.tune.space.candidate import ORIGINAL, Step
from windlass.optimize.tune.study import Study

# Stands for inputs that were generated here, and that a person has real ones of.
INPUTS = "INPUTS.npz"


def commands(outcome: Outcome, candidate: Candidate) -> list[str]:
    """Return what makes the files of a candidate and measures it, as typed into a shell."""
    study, score = outcome.study, outcome.scores.get(candidate)
    version = study.version
    made = []
    for number, step in enumerate(candidate.variant.artefact.steps, max(study.entry.versions) + 1):
        made.append(_step(study, step, version))
        version = number
    if candidate.variant.artefact == ORIGINAL and candidate != study.baseline:
        version = max(study.entry.versions) + 1
    concurrency = f"{score.concurrency}" if score and score.concurrency else "1:64"
    return [
        *made,
        _line("bench", f"{study.name}:{version}", *_repository(study), "--concurrency", concurrency, *_data(study)),
    ]


def own(study: Study) -> str:
    """Return the command that does all of it again."""
    wanted = []
    if study.objective.latency_p99_us is not None:
        wanted += ["--latency-p99", f"{study.objective.latency_p99_us / 1000:g}ms"]
    if study.objective.memory_bytes is not None:
        wanted += ["--memory", f"{study.objective.memory_bytes}B"]
    if study.requirement.accuracy_drop is not None:
        wanted += ["--accuracy-drop", f"{study.requirement.accuracy_drop * 100:g}%"]
    else:
        wanted += ["--min-cosine", f"{study.requirement.min_cosine:g}"]
    rest = ["--budget", f"{study.budget_s:g}s", "--seed", str(study.seed)]
    return _line("optimize", study.text, *_repository(study), *wanted, *_data(study), *rest)


def _step(study: Study, step: Step, version: int) -> str:
    options = ["--to", step.to, *_repository(study)]
    if step.verb == "quantize" and (study.questions.data or step.to == "int8"):
        options += ["--calibration", study.questions.data or INPUTS]
    return _line(step.verb, f"{study.name}:{version}", *options)


def _repository(study: Study) -> Iterator[str]:
    yield from ("--repository", str(study.entry.path.parent))


def _data(study: Study) -> Iterator[str]:
    if study.questions.data:
        yield from ("--data", study.questions.data)


def _line(*words: str) -> str:
    return shlex.join(["windlass", *words])
