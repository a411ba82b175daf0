"""A variant by itself: whether its answers agree with the original's, and how fast the engine is in a loop.

Runs in a process of its own. The original's answers are written down once, and read by all others.
"""

import math
import time
from collections.abc import Iterator
from typing import Any

from windlass.config import ModelConfig, parse_text
from windlass.optimize.tune.measure import answers
from windlass.optimize.tune.measure.jobs import Examination
from windlass.optimize.tune.measure.loop import Loop
from windlass.optimize.tune.search.accuracy import Accuracy, objection
from windlass.optimize.tune.space import OFF, Candidate, Layout
from windlass.optimize.tune.space.configuration import configured
from windlass.repository import labels
from windlass.samples import Samples
from windlass.serving import memory


def examine(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Say how accurate a variant is, and then what each layout and batch size gives, if it is accurate enough."""
    job = Examination.of(values)
    memory.keep_freed()
    base = parse_text(job.config.read_text(encoding="utf-8"), str(job.config))
    samples = job.questions.samples(base)
    until = math.inf
    for place, layout in enumerate(job.layouts):
        if place and time.monotonic() > until:
            return
        loop = _loop(job, base, layout)
        if place == 0:
            found = _accuracy(job, loop, samples)
            why = objection(found, job.requirement)
            yield {"accuracy": _plain(found), "objection": why}
            if why:
                return
            until = time.monotonic() + job.seconds
        for lap in loop.laps(samples.rows[0], job.most, job.limit_s, until):
            yield {"layout": [layout.instances, layout.threads], "lap": [lap.size, lap.rate, lap.pass_s]}
        loop.close()


def _plain(found: Accuracy) -> dict[str, Any]:
    return {name: getattr(found, name) for name in Accuracy.__dataclass_fields__}


def _loop(job: Examination, base: ModelConfig, layout: Layout) -> Loop:
    config = configured(base, Candidate(job.variant, layout, OFF))
    # The loop decides how large a batch is, whatever the configuration says.
    config.max_batch_size = max(base.max_batch_size, job.most)
    return Loop(config, job.name, job.model, job.folder)


def _accuracy(job: Examination, loop: Loop, samples: Samples) -> Accuracy:
    """Compare with the original's answers; the original itself, which comes first, writes them down."""
    classes = labels(loop.config, job.model)
    if job.reference.exists():
        before = answers.kept(job.reference)
        said = answers.given(loop.run, samples, count=answers.count(before, samples))
        return answers.compared(before, said, samples, classes)
    said = answers.given(loop.run, samples, seconds=job.reference_s)
    answers.refuse_nonsense(said)
    answers.keep(said, job.reference)
    return answers.compared(said, said, samples, classes)
