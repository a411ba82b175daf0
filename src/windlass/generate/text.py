"""How generated texts look: YAML as people write it, and templates that forget nothing."""

import posixpath
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import jinja2
import yaml

# Path, relative to the folder that is written, to text.
Files = dict[str, str]


class _Writer(yaml.SafeDumper):
    """Writes block style, lists indented, long texts as blocks, and no anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _text(writer: _Writer, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value and value.strip() else None
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Writer.add_representer(str, _text)


# Words and paths that mean themselves; numbers, booleans and everything with a sign of YAML in it go to the writer.
_PLAIN = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[A-Za-z_/][A-Za-z0-9_./@=+-]*", re.IGNORECASE)
# What some reader takes for a truth or a number and the library does not: readers of YAML 1.2, and that of Kubernetes.
_TAKEN = re.compile(r"[yn]|[-+]?(?=\.?\d)([\d_]*\.?[\d_]*(e[-+]?\d+)?|0[xob][\da-f_]+)", re.IGNORECASE)
_WIDTH = 120


def yaml_text(*values: Any, comment: str = "") -> str:
    """Write one YAML document for each value, in the order of their keys, under a comment.

    A key that begins with ``#`` is no key: its text becomes a comment at that place.
    """
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return head + "---\n".join("".join(f"{line}\n" for line in _document(value)) for value in values)


def _document(value: Any) -> Iterator[str]:
    """Yield the lines of a document. Trees are written here, which is quick, and difficult scalars by the library."""
    if isinstance(value, dict) and value:
        yield from _mapping(value, 0)
    elif isinstance(value, list | tuple) and value:
        yield from _sequence(value, 0)
    else:
        yield _dumped(value, _WIDTH).removesuffix("\n...\n").rstrip("\n")


def _mapping(value: dict[Any, Any], indent: int) -> Iterator[str]:
    for key, inner in value.items():
        if isinstance(key, str) and key.startswith("#"):
            yield from _comments(inner, indent)
        else:
            yield from _entry(" " * indent + _scalar(key) + ":", {key: inner}, inner, indent + 2)


def _sequence(value: list[Any] | tuple[Any, ...], indent: int) -> Iterator[str]:
    for inner in value:
        if isinstance(inner, dict | list | tuple) and inner:
            lines = _mapping(inner, indent + 2) if isinstance(inner, dict) else _sequence(inner, indent + 2)
            yield from _item(lines, indent)
        else:
            yield from _entry(" " * indent + "-", [inner], inner, indent + 2)


def _item(lines: Iterator[str], indent: int) -> Iterator[str]:
    """Put a dash before the first line of an item; comments at its beginning stand above it."""
    for line in lines:
        if not line.lstrip().startswith("# "):
            yield " " * indent + "- " + line[indent + 2 :]
            break
        yield line[2:]
    yield from lines


def _entry(start: str, whole: Any, inner: Any, indent: int) -> Iterator[str]:
    """Yield a key or a dash with its value, which stands below it where it is a tree."""
    if isinstance(inner, dict) and inner:
        yield start
        yield from _mapping(inner, indent)
    elif isinstance(inner, list | tuple) and inner:
        yield start
        yield from _sequence(inner, indent)
    elif isinstance(inner, str) and ("\n" in inner or (len(start) + len(inner) > _WIDTH - 10 and " " in inner)):
        # Blocks and folded lines: written alone, then moved to their place.
        before = " " * (indent - 2)
        yield from (
            before + line if line else "" for line in _dumped(whole, _WIDTH - indent + 2).rstrip("\n").split("\n")
        )
    else:
        yield f"{start} {_scalar(inner)}"


def _comments(text: str, indent: int) -> Iterator[str]:
    yield from (" " * indent + f"# {line}" for line in text.splitlines())


def _scalar(value: Any) -> str:
    """Write a value that fits one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return _difficult(value) if isinstance(value, str) else _dumped(value, _WIDTH).split("\n")[0]


@lru_cache(maxsize=4096)
def _difficult(value: str) -> str:
    text = _dumped([value], 1 << 30).removeprefix("- ").rstrip("\n")
    return f"'{text}'" if text == value and _TAKEN.fullmatch(value) else text


def _dumped(value: Any, width: int) -> str:
    text: str = yaml.dump(
        value, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=width, default_flow_style=False
    )
    return text


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("windlass.generate", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (what is written is no HTML)
    )
    made.filters["seconds"] = seconds
    made.filters["parent"] = posixpath.dirname
    made.filters["last_part"] = posixpath.basename
    return made


def seconds(value: float) -> str:
    """Write a time in seconds as most programs read it: ``30s``, ``500ms``."""
    return f"{value:.0f}s" if float(value).is_integer() else f"{value * 1000:.0f}ms"


def template(name: str, /, **values: Any) -> str:
    """Fill the template of a name. A name that the template uses and ``values`` lack is an error."""
    return _environment().get_template(name).render(**values)
