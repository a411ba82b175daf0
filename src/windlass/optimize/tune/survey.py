"""Every variant that machine and model allow, made and examined, the most promising first, while there is time."""

from collections.abc import Callable, Mapping

from windlass.errors import UsageError
from windlass.optimize.tune.search.budget import Budget
from windlass.optimize.tune.space import Unfit, Variant, variants
from windlass.optimize.tune.space.candidate import ORIGINAL
from windlass.optimize.tune.study import Study
from windlass.optimize.tune.trials import Examined, original
from windlass.optimize.tune.workshop import Workshop

Tell = Callable[[str], None]

# The part of the budget in which variants are made and run in a loop; the rest is for serving them.
SHARE = 0.55
# No step may take more than this part of what is left of it.
STEP_SHARE = 0.7
LEAST_LOOP_S, LONGEST_LOOP_S = 2.0, 20.0
LEAST_STEP_S = 3.0
NO_TIME = "there was no time left for it: a longer --budget tries it"


def survey(
    study: Study, workshop: Workshop, budget: Budget, tell: Tell
) -> tuple[Mapping[Variant, Examined], tuple[Unfit, ...]]:
    """Return what came of each variant, and what was left out from the start.

    Raises ``WindlassError`` where the original itself does not run, or answers nonsense.
    """
    found, unfit = variants(study.machine, study.subject)
    if not study.subject.exportable:
        return {found[0]: original(found[0])}, unfit
    examined: dict[Variant, Examined] = {}
    for place, variant in enumerate(found):
        tell(f"{variant.name}: trying")
        examined[variant] = _one(variant, len(found) - place, workshop, budget)
        tell(f"{variant.name}: {summary(examined[variant])}")
    return examined, unfit


def _one(variant: Variant, rest: int, workshop: Workshop, budget: Budget) -> Examined:
    """Make and examine a variant. What there is no time for is not noted: a run with more time tries it."""
    known = workshop.known(variant)
    if known is not None:
        return known
    is_original = variant.artefact == ORIGINAL and not variant.compute and variant.device == "cpu"
    try:
        made = workshop.make(variant.artefact, _time(budget))
        if made.reason:
            return Examined(variant, reason=made.reason)
        loop_s = min(max(budget.left_until(SHARE) / rest / 2, LEAST_LOOP_S), LONGEST_LOOP_S)
        # Without the original there is nothing: it may take all the time there is.
        return workshop.examine(variant, loop_s, budget.left_s if is_original else _time(budget))
    except TimeoutError:
        if is_original:
            raise UsageError(
                "the time was over before the original had answered: nothing can be held against it",
                hint="run it again with a longer --budget",
            ) from None
        return Examined(variant, reason=NO_TIME)


def _time(budget: Budget) -> float:
    left = budget.left_until(SHARE)
    return max(left * STEP_SHARE, LEAST_STEP_S) if left > 0 else 0.0


def summary(examined: Examined) -> str:
    """Say in a line what came of a variant."""
    if examined.reason:
        return f"out: {examined.reason}"
    parts = [] if examined.accuracy is None else [f"cosine {examined.accuracy.cosine:.5f}"]
    if examined.best:
        layout, lap = examined.best
        parts.append(f"{lap.rate:,.1f}/s in a loop, batches of {lap.size}, {layout.name}")
    return ", ".join(parts) or "as it is"
