"""Writes docs/reference/windlass-yaml.md from the classes that read it: ``make docs``."""

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from windlass.config.project import Project
from windlass.config.project.quantities import Quantity

HEAD = """# windlass.yaml

The project file: what is served, on what, behind which door, where. `windlass init` writes the first one, `windlass
schema` prints a JSON schema for editors, `windlass render TARGET` shows what comes of it. Every fault of a file is told
at once, with its line; unknown keys are errors.

Sizes are written `512MiB` or `4GB`, times `30s` or `1h30m`. Names are lower-case letters, digits and dashes. A secret
is never written here: `secrets` says where it is, and everything else names it.

This page is made from the classes that read the file: `make docs`.
"""


def page() -> str:
    """Return the page."""
    parts: dict[type[BaseModel], str] = {Project: "windlass.yaml"}
    for part, place in _parts(Project, ""):
        parts.setdefault(part, place)
    return "\n".join([HEAD, *(_section(part, place) for part, place in parts.items())])


def _parts(part: type[BaseModel], place: str) -> Iterator[tuple[type[BaseModel], str]]:
    """Yield the parts inside a part, in the order of the file, with where they stand first."""
    for name, field in part.model_fields.items():
        for inner in _models(field.annotation):
            here = f"{place}.{name}".lstrip(".") + (".NAME" if get_origin(field.annotation) is dict else "")
            yield inner, here
            yield from _parts(inner, here)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]


def _section(part: type[BaseModel], place: str) -> str:
    kind = part.model_fields.get("kind")
    title = (
        place if kind is None or len(get_args(kind.annotation)) != 1 else f"{place} ({get_args(kind.annotation)[0]})"
    )
    rows = [
        f"| `{name}` | {_kind(field.annotation, field)} | {_default(field)} | {_told(field)} |"
        for name, field in part.model_fields.items()
    ]
    about = " ".join((part.__doc__ or "").split())
    return "\n".join([f"## {title}", "", about, "", "| key | value | default | |", "|---|---|---|---|", *rows, ""])


def _told(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")


def _kind(annotation: Any, field: FieldInfo | None = None) -> str:
    marks = [*(field.metadata if field else ()), *getattr(annotation, "__metadata__", ())]
    if named := [mark.name for mark in marks if isinstance(mark, Quantity)]:
        return named[0]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " \\| ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return " \\| ".join(dict.fromkeys(_kind(one) for one in inner if one is not NoneType))
    if origin is tuple:
        return f"list of {_kind(inner[0])}"
    if origin is dict:
        return f"names to {_kind(inner[1])}"
    if hasattr(annotation, "__metadata__"):
        return _kind(annotation.__origin__)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return {str: "text", int: "number", float: "number", bool: "true \\| false"}.get(annotation, "any")


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "(required)"
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, BaseModel):
        said = value.model_dump(exclude_defaults=True)
        return f"`{said}`" if said else ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        return ", ".join(f"`{key}`" for key in value)
    if _kind(field.annotation, field) == "size":
        return f"`{_size(value)}`"
    if _kind(field.annotation, field) == "time":
        return f"`{_time(value)}`"
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def _size(value: int) -> str:
    power = next(power for power in (4, 3, 2, 1, 0) if value % 1024**power == 0)
    return f"{value // 1024**power}{('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def _time(value: float) -> str:
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60)):
        if value % seconds == 0:
            return f"{value / seconds:g}{unit}"
    return f"{value:g}s"


def main() -> None:
    """Write the page."""
    (Path(__file__).parent / "reference" / "windlass-yaml.md").write_text(page())


if __name__ == "__main__":
    main()
