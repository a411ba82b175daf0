"""From the name of a metric to the metric."""

import difflib
from collections.abc import Mapping, Sequence

from windlass.errors import UsageError
from windlass.optimize.compare.accuracy import Accuracy
from windlass.optimize.compare.metric import FIGURES, NAMES, Figure, Metric
from windlass.optimize.compare.own_metric import OwnMetric


def choose(
    text: str, *, output: str = "", at_least: bool = True, classes: Mapping[str, Sequence[str]] | None = None
) -> Metric:
    """Return the metric of that name, or a user's own (``file.py:function``, better when it is ``at_least`` so much).

    Raises ``UsageError`` for a name that is none.
    """
    if text == "accuracy":
        return Accuracy(output, classes or {})
    if text in FIGURES:
        return Figure(text)
    if ".py:" in text:
        return OwnMetric.load(text, at_least=at_least)
    close = difflib.get_close_matches(text, NAMES, n=1)
    raise UsageError(
        f"there is no metric `{text}`",
        found=f"there are {', '.join(NAMES)}, and your own: FILE.py:FUNCTION",
        hint=f"did you mean `{close[0]}`?" if close else None,
    )
