"""Amounts as people write them: ``4GiB``, ``30s``, ``2.5`` cores, ``75`` percent."""

import ipaddress
import re
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

_UNITS = {"": 1, "B": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {f"{letter}B": factor for letter, factor in _UNITS.items() if letter not in ("", "B")}
_UNITS |= {f"{letter}i{end}": 1024**power for power, letter in enumerate("KMGT", 1) for end in ("", "B")}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _bytes(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", value.strip()) if isinstance(value, str) else None
    if not found or found[2] not in _UNITS:
        raise ValueError(f"expected a size like `512MiB` or `4GiB`, got {_shown(value)}")
    return round(float(found[1]) * _UNITS[found[2]])


def _seconds(value: object) -> object:
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value) if isinstance(value, str) else []
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError(f"expected a time like `30s`, `5m` or `1h30m`, got {_shown(value)}")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f"expected a network like `10.0.0.0/8`, got `{value}`: {error}") from None


def _cron(value: str) -> str:
    if not re.fullmatch(r"@(yearly|monthly|weekly|daily|hourly)|\S+( \S+){4}", value):
        raise ValueError(f"expected five fields of cron like `0 7 * * 1-5`, got `{value}`")
    return value


def _shown(value: object) -> str:
    return f"`{value}`" if isinstance(value, str | int | float) else f"a {type(value).__name__}"


class Quantity(NamedTuple):
    """Marks what a number or a text stands for; the reference shows the name."""

    name: str


# Bytes. A bare number is bytes too.
Bytes = Annotated[
    int,
    BeforeValidator(_bytes),
    Field(gt=0),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^\d+(\.\d+)?\s*([KMGT]i?)?B?$", "examples": ["4GiB"]}),
    Quantity("size"),
]
# Seconds.
Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(gt=0),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$", "examples": ["30s"]}),
    Quantity("time"),
]
Percent = Annotated[int, Field(ge=1, le=100), Quantity("percent")]
Port = Annotated[int, Field(ge=1, le=65535), Quantity("port")]
Network = Annotated[str, AfterValidator(_network), Quantity("network")]
Cron = Annotated[str, AfterValidator(_cron), Quantity("cron")]
# A name that Docker, DNS and Kubernetes take alike.
NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=40)]


SECRET = Quantity("secret")
SecretName = Annotated[Name, SECRET]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
