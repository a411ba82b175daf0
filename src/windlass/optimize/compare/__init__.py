"""Two models on the same inputs: how far their outputs are apart, where most, and whether that is near enough."""

from windlass.optimize.compare.differences import Differences, OutputDifference, Worst, differences

__all__ = ["Differences", "OutputDifference", "Worst", "differences"]
