"""What kinds of model files there are: each is recognised, looked at, and put into a version's folder."""

from windlass.formats.find import find
from windlass.formats.found import Found, Written
from windlass.formats.given import Given, parse_input
from windlass.formats.inspection import Inspection

__all__ = ["Found", "Given", "Inspection", "Written", "find", "parse_input"]
