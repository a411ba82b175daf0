"""Reports as one HTML file that needs no network: a page, charts drawn as SVG, and the machine it tells of."""

from windlass.report.bars import Bar, Bars
from windlass.report.chart import Axis, Chart, Level, Series
from windlass.report.machine import Machine
from windlass.report.page import page

__all__ = ["Axis", "Bar", "Bars", "Chart", "Level", "Machine", "Series", "page"]
