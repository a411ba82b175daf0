"""The last word: whether the best that was found is worth a change of what is served."""

from collections.abc import Mapping

from windlass.errors import UsageError
from windlass.optimize.tune.search.objective import MARGIN, Score
from windlass.optimize.tune.space import Candidate

# What has more than this of the throughput that is there is worth a change.
WORTH = 1.0 + MARGIN

_AGAIN = "run it again with a longer --budget, and it goes on from here"


def decided(
    leader: Candidate | None, baseline: Candidate, scores: Mapping[Candidate, Score]
) -> tuple[Candidate | None, str]:
    """Return the leader, or what is served now where that is as good, or nothing; and why.

    Raises ``UsageError`` where nothing was measured at all.
    """
    before = scores.get(baseline)
    if leader is None or leader not in scores or scores[leader].reason:
        if before is not None and not before.reason:
            return baseline, "nothing else that is accurate enough could be served within the limits"
        return None, _nothing(scores)
    after = scores[leader]
    if before is None:
        return None, f"there was no time to hold {leader.name} against the original as configured: {_AGAIN}"
    if before.reason:
        return leader, f"the original as configured is out: {before.reason}"
    times = after.throughput / max(before.throughput, 1e-9)
    if times < WORTH:
        return baseline, f"the best of the others has {times:.2f} times its throughput: not worth a change"
    return leader, f"it has {times:.1f} times the throughput of the original as configured, measured in turns with it"


def _nothing(scores: Mapping[Candidate, Score]) -> str:
    if not scores:
        raise UsageError("the time was over before anything was served", hint=_AGAIN)
    reasons = dict.fromkeys(score.reason for score in scores.values())
    return "nothing is within the limits: " + "; ".join(list(reasons)[:3])
