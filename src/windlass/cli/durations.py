"""Times as people write them: ``50ms``, ``1.5s``, ``10m``."""

import re
from typing import Any

import click

_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TEXT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(us|µs|ms|s|m|h)?")


class Duration(click.ParamType[float]):
    """A time over 0, in seconds where no unit is given."""

    name = "duration"

    def __init__(self, *, zero: bool = False) -> None:
        self._zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        if isinstance(value, int | float):
            return float(value)
        match = _TEXT.fullmatch(str(value).strip())
        seconds = float(match[1]) * _UNITS[match[2] or "s"] if match else 0.0
        if not match or (seconds <= 0 and not self._zero):
            self.fail(f"expected a time over 0, such as 50ms, 1.5s or 10m, got `{value}`", param, ctx)
        return seconds
