"""Two models on the same inputs: how far their outputs are apart, where most, and whether that is near enough."""

from windlass.optimize.compare.choosing import choose
from windlass.optimize.compare.compare import Question, compare
from windlass.optimize.compare.comparison import Comparison
from windlass.optimize.compare.differences import Differences, OutputDifference, Worst, differences
from windlass.optimize.compare.metric import Metric, Score, threshold

__all__ = [
    "Comparison",
    "Differences",
    "Metric",
    "OutputDifference",
    "Question",
    "Score",
    "Worst",
    "choose",
    "compare",
    "differences",
    "threshold",
]
