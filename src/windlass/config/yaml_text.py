"""YAML a person wrote becomes plain values that know their lines. What the values mean is decided elsewhere.

Scalars are read as YAML 1.2's core schema reads them, as other tools of this trade do: ``yes`` and ``on`` are
words, ``08:30`` is no number. A key that stands twice is an error.
"""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import yaml

from windlass.errors import ConfigError

# Where a value stands: the keys and indices that lead to it.
Place = tuple[str | int, ...]

_HALVES = re.compile("[\ud800-\udfff]")

# Aliases may repeat what they stand for, and a few lines of them could fill any memory.
MAX_VALUES = 200_000


@dataclass(frozen=True, slots=True)
class Document:
    """What a text holds, with the line (from 1) of every value."""

    value: Any
    lines: dict[Place, int]

    def line(self, place: Place) -> int | None:
        """Return the line of a place, or of the nearest one around it that is there."""
        while place not in self.lines:
            if not place:
                return None
            place = place[:-1]
        return self.lines[place]


class _Core(yaml.SafeLoader):
    """The loader with the scalars of YAML 1.2 and the merge key, which files of this trade use."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", r"<<", "<"),
):
    for _letter in _first:
        _Core.yaml_implicit_resolvers.setdefault("" if _letter == "\0" else _letter, []).append(
            (f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"))
        )


def parse(text: str, where: str) -> Document:
    """Read one document of YAML; an empty one holds ``None``.

    Raises ``ConfigError`` with the line where the text is no YAML.
    """
    loader = _Core(text)
    try:
        node = loader.get_single_node()
        reader = _Reader(loader, where)
        value = reader.value(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{where}{line}: {error.problem or error.context}", where=f"{where}{line}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: {error}", where=where) from error
    finally:
        loader.dispose()
    return Document(value, reader.lines)


class _Reader:
    """Makes values of nodes, and notes where they stand."""

    def __init__(self, loader: _Core, where: str) -> None:
        self.lines: dict[Place, int] = {}
        self._loader = loader
        self._where = where
        self._open: set[int] = set()

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if len(self.lines) > MAX_VALUES:
            raise self._fault(node, f"more than {MAX_VALUES} values, counting what aliases repeat")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            raise self._fault(node, "an alias stands inside what it stands for")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, place)
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag == "tag:yaml.org,2002:int":
            return int(node.value, 0 if node.value.startswith(("0o", "0x")) else 10)
        if node.tag == "tag:yaml.org,2002:float":
            return float(node.value.replace(".inf", "inf").replace(".nan", "nan"))
        if node.tag == "tag:yaml.org,2002:bool":
            return node.value.lower() == "true"
        return None if node.tag == "tag:yaml.org,2002:null" else self._text(node)

    def _text(self, node: yaml.ScalarNode) -> str:
        """Join what JSON writes as two halves of one character; a half by itself is none."""
        text: str = node.value
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16") if _HALVES.search(text) else text
        except UnicodeDecodeError:
            raise self._fault(node, "an escape stands for half a character") from None

    def _mapping(self, node: Any, place: Place) -> dict[str, Any]:
        twice: set[Hashable] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and key.value in twice:
                raise self._fault(key, f"the key `{key.value}` stands here a second time")
            if isinstance(key.value, Hashable):
                twice.add(key.value)
        self._loader.flatten_mapping(node)
        found: dict[str, Any] = {}
        for key, item in node.value:
            name = str(self._scalar(key) if isinstance(key, yaml.ScalarNode) and key.style else key.value)
            inner = (*place, name)
            # What was merged in stands before what is written here, and gives way to it.
            self.lines = (
                {known: line for known, line in self.lines.items() if known[: len(inner)] != inner}
                if (name in found)
                else self.lines
            )
            self.lines[inner] = key.start_mark.line + 1
            found[name] = self.value(item, inner)
        return found

    def _fault(self, node: yaml.Node, message: str) -> ConfigError:
        where = f"{self._where}:{node.start_mark.line + 1}"
        return ConfigError(f"{where}: {message}", where=where)
