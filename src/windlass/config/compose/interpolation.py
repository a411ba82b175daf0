"""Variables in a Compose file: ``$NAME``, ``${NAME:-default}`` and their kin, after the Compose specification."""

import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)(?:(?P<how>:?[-?+])(?P<text>(?:[^{}]|\{[^{}]*\})*))?\})"
)
# A default may hold another variable, and that one another.
_DEPTH = 8


class Unset(Exception):  # noqa: N818  (a finding is made of it)
    """A variable that must be set is not."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"the variable `{name}` is not set" + (f": {message}" if message else ""))
        self.name = name


def interpolated(value: Any, variables: Mapping[str, str], used: set[str]) -> Any:
    """Return a value with its variables filled in; names that have no value and no default go to ``used``.

    Raises ``Unset`` where the file says that a variable must be set.
    """
    if isinstance(value, str):
        return _text(value, variables, used, _DEPTH)
    if isinstance(value, list):
        return [interpolated(item, variables, used) for item in value]
    if isinstance(value, dict):
        return {key: interpolated(item, variables, used) for key, item in value.items()}
    return value


def _text(text: str, variables: Mapping[str, str], unset: set[str], depth: int) -> str:
    def fill(found: "re.Match[str]") -> str:
        if found["escaped"]:
            return "$"
        name, how, rest = found["plain"] or found["braced"], found["how"] or "", found["text"] or ""
        value = variables.get(name)
        there = value is not None and (bool(value) or not how.startswith(":"))
        if how.endswith("+"):
            return _text(rest, variables, unset, depth - 1) if there and depth else ""
        if there:
            return value or ""
        if how.endswith("?"):
            raise Unset(name, rest)
        if how.endswith("-"):
            return _text(rest, variables, unset, depth - 1) if depth else rest
        unset.add(name)
        return ""

    return _VARIABLE.sub(fill, text)


def variables_of(text: str) -> dict[str, str]:
    """Read the lines of an environment file: ``NAME=value``, quotes taken off, comments left out."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.removeprefix("export ").partition("=")
        if not equals or name.lstrip().startswith("#"):
            continue
        quoted = re.match(r"""\s*(['"])(.*?)\1""", value)
        value = quoted[2] if quoted else re.split(r"\s+#", value, maxsplit=1)[0].strip()
        found[name.strip()] = value
    return found
