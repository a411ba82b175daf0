"""The verdict in a sentence or two, and what has to be known to make something of the figures."""

from windlass.optimize.tune.outcome import Outcome
from windlass.optimize.tune.survey import NO_TIME

# Turns that differ by more than this tell more of the machine than of the model.
NOISY = 0.25


def verdict(outcome: Outcome) -> str:
    """Say what serves the model best, how much better that is, and why."""
    if outcome.winner is None:
        return f"Nothing can be served as asked: {outcome.why}."
    score = outcome.scores.get(outcome.winner)
    rate = (
        f" answers {score.throughput:,.1f} requests a second with p99 of {score.p99_us / 1000:,.1f} ms" if score else ""
    )
    if not outcome.changed:
        return f"What is served now stays the best: {outcome.why}. It{rate}."
    return f"{outcome.winner.name}{rate}: {outcome.why}."


def notes(outcome: Outcome) -> list[str]:
    """Return what a reader must not miss."""
    study, won = outcome.study, outcome.winner
    found = []
    if study.questions.data is None and won is not None and won.variant.artefact.quantized:
        found.append(
            "eight bits were calibrated and checked on generated samples: give real ones with --data before serving it"
            if won.variant.artefact.quantized.startswith("int8")
            else "its accuracy was checked on generated samples: give real ones with --data before serving it"
        )
    late = [entry.variant.name for entry in outcome.examined.values() if entry.reason == NO_TIME]
    if late:
        found.append(f"there was no time for {', '.join(late)}: a longer --budget tries them")
    spread = outcome.scores[won].spread if won in outcome.scores and won is not None else 0.0
    if spread > NOISY:
        found.append(f"the machine was busy: turns of the winner differ by {spread:.0%}")
    return found


def facts(outcome: Outcome) -> list[tuple[str, str]]:
    """Return what was asked, of what, on what."""
    study = outcome.study
    samples = max((found.accuracy.samples for found in outcome.examined.values() if found.accuracy), default=0)
    source = study.questions.data or f"generated from seed {study.seed}"
    engines = {**study.machine.engines, **study.machine.tools}
    return [
        ("Wanted", study.objective.text()),
        ("Accuracy", f"{study.requirement.text()}; checked on {samples} samples, {source}"),
        ("Machine", study.machine.text()),
        ("Engines", ", ".join(f"{name} {version}" for name, version in sorted(engines.items()))),
        ("Time", f"{outcome.spent_s:.0f} s of {study.budget_s:.0f} s"),
        ("Measured", f"{len(outcome.scores)} candidates served, {len(outcome.examined)} engines and precisions tried"),
        ("Memory", "of all processes of the server, while it was loaded"),
    ]
