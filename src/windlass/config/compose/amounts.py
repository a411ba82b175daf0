"""Sizes, times and words as Compose files write them."""

import re
import shlex
from typing import Any

_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def size(value: Any) -> int | None:
    """Return bytes of ``512m``, ``2gb`` or a number; ``None`` for nothing. Raises ``ValueError``."""
    if value is None or value == "":
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)i?b?", str(value).strip().lower())
    if not found:
        raise ValueError(f"expected a size like `512m` or `2g`, got `{value}`")
    return round(float(found[1]) * _UNITS[found[2]])


def seconds(value: Any, default: float) -> float:
    """Return seconds of ``1m30s``. Raises ``ValueError``."""
    if value is None:
        return default
    parts = re.findall(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)", str(value))
    if not parts or "".join(number + unit for number, unit in parts) != str(value):
        raise ValueError(f"expected a time like `30s` or `1m30s`, got `{value}`")
    return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def number(value: Any) -> float | None:
    """Return a number; ``None`` for nothing. Raises ``ValueError``."""
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"expected a number, got `{value}`") from None


def words(value: Any) -> tuple[str, ...] | None:
    """Return the words of a command, which may be one text or a list; ``None`` for nothing. Raises ``ValueError``."""
    if value is None:
        return None
    if isinstance(value, list):
        return tuple(str(word) for word in value)
    return tuple(shlex.split(str(value)))
