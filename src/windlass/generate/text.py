"""How generated texts look: YAML as people write it, and templates that forget nothing."""

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


# A comment on its way through the writer, which knows of none: in hexadecimal, nothing of it is quoted or folded.
_MARK = "__comment__"
_MARKED = re.compile(rf"^( *(?:- )?){_MARK}([0-9a-f]+): null$", re.MULTILINE)


def yaml_text(*values: Any, comment: str = "") -> str:
    """Write one YAML document for each value, in the order of their keys, under a comment.

    A key that begins with ``#`` is no key: its text becomes a comment at that place.
    """
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    documents = [
        yaml.dump(_marked(value), Dumper=_Writer, sort_keys=False, allow_unicode=True, width=120) for value in values
    ]
    return head + "---\n".join(_MARKED.sub(_comment, document) for document in documents)


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(
            (f"{_MARK}{inner.encode().hex()}", None) if key.startswith("#") else (key, _marked(inner))
            for key, inner in value.items()
        )
    return [_marked(one) for one in value] if isinstance(value, list | tuple) else value


def _comment(found: re.Match[str]) -> str:
    first, rest = found[1], " " * len(found[1])
    lines = bytes.fromhex(found[2]).decode().splitlines()
    return "\n".join(f"{rest if number else first}# {line}" for number, line in enumerate(lines))


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("windlass.generate", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (what is written is no HTML)
    )


def template(name: str, /, **values: Any) -> str:
    """Fill the template of a name. A name that the template uses and ``values`` lack is an error."""
    return _environment().get_template(name).render(**values)
