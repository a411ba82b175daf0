"""Writes the winner beside the versions there are; nothing that is served changes."""

import shutil
from dataclasses import replace

from windlass.optimize.tune.outcome import Outcome
from windlass.optimize.tune.search.journal import Journal
from windlass.optimize.tune.space.configuration import text
from windlass.optimize.tune.workshop import Workshop
from windlass.repository.layout import CONFIG_FILE
from windlass.repository.staging import new_version


def written(outcome: Outcome, journal: Journal) -> Outcome:
    """Return the outcome with the number of the version that the winner is now; none where nothing is better.

    What an earlier run wrote is not written again.
    """
    if not outcome.changed or outcome.winner is None:
        return outcome
    entry = outcome.study.entry
    trial = f"write {outcome.winner.name}"
    if trial in journal and journal.result(trial) in entry.versions:
        return replace(outcome, written=journal.result(trial))
    workshop = Workshop(outcome.study, journal, lambda: outcome.spent_s)
    artefact = outcome.winner.variant.artefact
    workshop.remade(artefact)
    with new_version(entry) as staged:
        for path in workshop.folder(artefact).iterdir():
            copy = shutil.copytree if path.is_dir() else shutil.copy2
            copy(path, staged.folder / path.name)
        (staged.folder / CONFIG_FILE).write_text(text(outcome.config), encoding="utf-8")
    journal.add(trial, staged.version, outcome.spent_s)
    return replace(outcome, written=staged.version)


def tidied(outcome: Outcome) -> None:
    """Throw away the files that candidates were made of; the journal and their configurations stay."""
    for folder in (outcome.study.folder / "artefacts").iterdir():
        if folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
    (outcome.study.folder / "answers.npz").unlink(missing_ok=True)
