"""How generated texts look: YAML as people write it, and templates that forget nothing."""

import posixpath
import re
from functools import cache
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
    style = "|" if "\n" in value else None
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Writer.add_representer(str, _text)


# A comment on its way through the writer, which knows of none: a short key, and its text kept beside it.
_MARK = "comment~"
_MARKED = re.compile(rf"^( *)(- )?{_MARK}([0-9]+): null\n(?(2) *)", re.MULTILINE)


def yaml_text(*values: Any, comment: str = "") -> str:
    """Write one YAML document for each value, in the order of their keys, under a comment.

    A key that begins with ``#`` is no key: its text becomes a comment at that place.
    """
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return head + "---\n".join(_document(value) for value in values)


def _document(value: Any) -> str:
    comments: list[str] = []
    marked = _marked(value, comments)
    text = yaml.dump(marked, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False)
    return _MARKED.sub(lambda found: _comment(found, comments), text)


def _marked(value: Any, comments: list[str]) -> Any:
    if isinstance(value, list | tuple):
        return [_marked(one, comments) for one in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, inner in value.items():
        if key.startswith("#"):
            result[f"{_MARK}{len(comments)}"] = None
            comments.append(inner)
        else:
            result[key] = _marked(inner, comments)
    return result


def _comment(found: re.Match[str], comments: list[str]) -> str:
    """Write a comment at its place; that of a list's item stands above the item."""
    indent, item, number = found.groups()
    lines = "".join(f"{indent}# {line}\n" for line in comments[int(number)].splitlines())
    return lines + indent + item if item else lines


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
