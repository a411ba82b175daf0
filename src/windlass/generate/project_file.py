"""The first project file of a model repository: what can be found out is in it, nothing is asked."""

import re
from dataclasses import dataclass

from windlass.generate.text import template


@dataclass(frozen=True, slots=True)
class FirstService:
    """A service of the first project file."""

    name: str
    models: tuple[str, ...]
    gpus: int = 0
    requirements: str = ""


def project_file(name: str, repository: str, models: dict[str, str], services: list[FirstService]) -> str:
    """Return the text of a project file. ``models`` are the backends of models by name, to be told in a comment."""
    told = ", ".join(f"{model} ({backend or 'no backend found'})" for model, backend in list(models.items())[:8])
    more = f" and {len(models) - 8} more" if len(models) > 8 else ""
    found = f"Models found: {told}{more}." if models else "No models yet: `<name>/1/model.onnx` is one."
    return template("windlass.yaml.j2", name=name, repository=_quoted(repository), found=found, services=services)


def name_of(text: str) -> str:
    """Make a project's name of any text: lower-case letters, digits and dashes."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].rstrip("-")
    return name if name[:1].isalpha() else f"models-{name}".rstrip("-")[:40]


def _quoted(text: str) -> str:
    return (
        text if re.fullmatch(r"[\w./][\w./ -]*", text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )
