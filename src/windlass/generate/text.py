"""How generated texts look: YAML as people write it, and templates that forget nothing."""

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


def yaml_text(*values: Any, comment: str = "") -> str:
    """Write one YAML document for each value, in the order of their keys, under a comment."""
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    documents = [
        yaml.dump(value, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False)
        for value in values
    ]
    return head + "---\n".join(documents)


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
