"""Shares as people write them: ``0.5%``, or ``0.005``."""

from typing import Any

import click


class Share(click.ParamType[float]):
    """A share from 0 to 1."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the share."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            self.fail(f"expected a share from 0 to 1, such as 0.5% or 0.005, got `{value}`", param, ctx)
        return share
