"""A model in fewer bits, by its framework's own quantiser: one file for each engine."""

from windlass.optimize.quantize.given import PRECISIONS
from windlass.optimize.quantize.quantize import Wishes, quantize_version
from windlass.optimize.quantize.report import Floor, Quantised, Unusable
from windlass.optimize.quantize.routes import methods
from windlass.optimize.quantize.speed import Speed
from windlass.optimize.quantize.write import write

__all__ = ["PRECISIONS", "Floor", "Quantised", "Speed", "Unusable", "Wishes", "methods", "quantize_version", "write"]
