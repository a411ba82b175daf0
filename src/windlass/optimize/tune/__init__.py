"""Finds the quickest way to serve a model within the accuracy and the latency that are asked for, by measuring.

``space`` lists what could serve it, ``search`` decides what to measure next, ``measure`` does it, ``report`` tells.
"""

from windlass.optimize.tune.beginning import Order
from windlass.optimize.tune.outcome import Outcome
from windlass.optimize.tune.run import run
from windlass.optimize.tune.search.objective import Objective

__all__ = ["Objective", "Order", "Outcome", "run"]
