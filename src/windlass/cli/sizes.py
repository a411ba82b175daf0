"""Sizes as people write them: ``512MiB``, ``2GiB``."""

import re
from typing import Any

import click

_UNITS = {
    "": 1,
    "B": 1,
    **{f"{letter}{end}": 1024**power for power, letter in enumerate("KMGT", 1) for end in ("i", "iB")},
}
_UNITS |= {f"{letter}{end}": 1000**power for power, letter in enumerate("KMGT", 1) for end in ("", "B")}


class Size(click.ParamType[int]):
    """A size over 0, in bytes where no unit is given."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return bytes."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", str(value).strip())
        size = round(float(match[1]) * _UNITS[match[2]]) if match and match[2] in _UNITS else 0
        if size <= 0:
            self.fail(f"expected a size over 0, such as 512MiB or 2GiB, got `{value}`", param, ctx)
        return size
