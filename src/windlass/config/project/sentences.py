"""Says what is wrong with a value of a project file, and which keys were known there."""

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from windlass.config.project.project import Project
from windlass.config.project.quantities import NAME_PATTERN
from windlass.config.yaml_text import Place

# What was expected, by pydantic's name of the fault.
_EXPECTED = {
    "int_parsing": "an integer",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "`true` or `false`",
    "bool_type": "`true` or `false`",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "too_short": "at least one",
}
_KINDS = {dict: "a mapping", list: "a list", type(None): "nothing"}


def sentence(detail: ErrorDetails, place: Place) -> tuple[str, str]:
    """Return what is wrong at a place, and what to do about it."""
    kind = detail["type"]
    if kind == "extra_forbidden":
        return "unknown key", _known_here(place)
    if kind == "missing":
        return "missing", ""
    if kind == "value_error":
        return str(detail["ctx"]["error"]), ""
    if kind == "union_tag_not_found":
        return "the key `kind` is missing", ""
    return f"expected {_expected(kind, detail)}, got {_got(detail)}", ""


def _expected(kind: str, detail: ErrorDetails) -> str:
    if kind == "string_pattern_mismatch":
        pattern = detail["ctx"]["pattern"]
        return "lower-case letters, digits and dashes" if pattern == NAME_PATTERN else f"text like `{pattern}`"
    if kind == "union_tag_invalid":
        return f"one of {detail['ctx']['expected_tags']}"
    return _EXPECTED.get(kind) or detail["msg"].removeprefix("Input should be ")


def _got(detail: ErrorDetails) -> str:
    found = detail["ctx"]["tag"] if detail["type"] == "union_tag_invalid" else detail["input"]
    return f"`{found}`" if isinstance(found, str | int | float) else _KINDS.get(type(found), type(found).__name__)


def _known_here(place: Place) -> str:
    known = sorted({name for part in _parts(place[:-1]) for name in part.model_fields})
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(f'`{key}`' for key in known)}"


def _parts(place: Place) -> list[type[BaseModel]]:
    """Return the classes that may stand at a place, by walking from the project's."""
    parts: list[type[BaseModel]] = [Project]
    for key in place:
        fields = [
            part.model_fields[key].annotation for part in parts if isinstance(key, str) and key in part.model_fields
        ]
        parts = [inner for annotation in fields for inner in _inside(annotation)] or parts
    return parts


def _inside(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the parts in an annotation such as ``dict[Name, Service] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _inside(inner)
