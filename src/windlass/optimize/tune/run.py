"""All of it: a study begun or continued, tuned, the winner written, the report beside the journal."""

import time
from collections.abc import Callable
from pathlib import Path

from windlass.optimize.tune import report
from windlass.optimize.tune.beginning import Order, begun
from windlass.optimize.tune.outcome import Outcome
from windlass.optimize.tune.search.budget import Budget
from windlass.optimize.tune.tuning import tune
from windlass.optimize.tune.writing import tidied, written


def run(order: Order, folder: Path | None, tell: Callable[[str], None]) -> tuple[Outcome, list[Path]]:
    """Return what was found and the files of the report. What is served does not change.

    Raises ``WindlassError`` with what is wrong; after any exception the next run goes on where this one was.
    """
    started = time.monotonic()
    with begun(order) as (study, journal):
        budget = Budget(study.budget_s, time.monotonic, started, journal.before_s)
        if len(journal):
            tell(f"going on after {journal.before_s:.0f} s of an earlier run (`--afresh` forgets it)")
        outcome = written(tune(study, journal, budget, tell), journal)
        files = report.write(outcome, folder or study.folder)
        tidied(outcome)
    return outcome, files
