"""A project file on its way to a value: its text, its lines, what a target overrides, and every fault at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from windlass.config.check import Finding
from windlass.config.project.project import Project
from windlass.config.project.rules import faults
from windlass.config.project.sentences import sentence
from windlass.config.project.target import KubernetesTarget, Target
from windlass.config.yaml_text import Document, Place, parse
from windlass.errors import ConfigError

FILE = "windlass.yaml"
# Taking a fault away may leave another; after so many the rest is not looked at.
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Source:
    """A project file that was read, not yet understood."""

    path: Path
    document: Document

    @classmethod
    def read(cls, path: Path) -> "Source":
        """Read a project file, or the one in a folder. Raises ``ConfigError`` where there is none or it is no YAML."""
        file = path / FILE if path.is_dir() else path
        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            found = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigError(
                f"`{file}` cannot be read",
                found=found,
                hint="write one with `windlass init`, or name another with `-f`",
            ) from error
        return cls(file, parse(text, str(file)))

    @property
    def targets(self) -> list[str]:
        """The names of the targets; one, ``local``, where the file names none."""
        found = self.document.value.get("targets") if isinstance(self.document.value, dict) else None
        return list(found) if isinstance(found, dict) and found else ["local"]

    def project(self, target: str | None = None) -> tuple[Project | None, list[Finding]]:
        """Return the project as it is on a target, and everything that is wrong; no project where an error is.

        The first target is meant where none is named. Raises ``ConfigError`` for a target that is not there.
        """
        name = target or self.targets[0]
        if name not in self.targets:
            raise ConfigError(
                f"{self.path}: there is no target `{name}`",
                found=", ".join(self.targets),
                hint="name one of these, or add it under `targets`",
            )
        document = _overridden(self.document, name)
        project, details = _validated(document.value)
        findings = {self._finding(document, detail): None for detail in details}
        # Rules across parts are told beside faults inside them: of what is left without those.
        whole = project or _without_faults(document.value, details)
        found = faults(whole, name) if whole else ()
        findings |= {self._place(document, place, *rest): None for place, *rest in found}
        wrong = any(finding.severity == "error" for finding in findings)
        return (None if wrong else project), sorted(findings, key=_line)

    def siblings(self, target: str) -> dict[str, Project]:
        """Return the project on the other targets whose files form a tree with those of this one."""
        found = {name: self.project(name)[0] for name in self.targets}
        tree = {name: one for name, one in found.items() if one is not None and _in_tree(one.targets[name])}
        return {name: one for name, one in tree.items() if name != target} if target in tree else {}

    def _finding(self, document: Document, detail: ErrorDetails) -> Finding:
        place = tuple(_keys(document.value, detail["loc"]))
        message, hint = sentence(detail, place)
        return self._place(document, place, message, hint)

    def _place(
        self, document: Document, place: Place, message: str, hint: str = "", severity: str = "error"
    ) -> Finding:
        line = document.line(place)
        where = f"{self.path}:{line}" if line else str(self.path)
        dotted = ".".join(map(str, place))
        return Finding(f"{where}: {dotted}" if dotted else where, message, hint, severity)


def read_project(path: Path, target: str | None = None) -> Project:
    """Return the project of a file, as it is on a target. Raises ``ConfigError`` that tells every fault."""
    project, findings = Source.read(path).project(target)
    if project is None:
        raise ProjectError(path, [finding for finding in findings if finding.severity == "error"])
    return project


class ProjectError(ConfigError):
    """A project file has faults; ``findings`` are all of them."""

    def __init__(self, path: Path, findings: list[Finding]) -> None:
        count = f"{len(findings)} errors" if len(findings) > 1 else "an error"
        super().__init__(f"`{path}` has {count}")
        self.findings = findings


def _in_tree(target: Target) -> bool:
    return isinstance(target, KubernetesTarget) and target.layout == "kustomize"


def _validated(value: Any) -> tuple[Project | None, list[ErrorDetails]]:
    try:
        return Project.model_validate(value if value is not None else {}), []
    except ValidationError as error:
        return None, error.errors(include_url=False, include_input=True)


def _without_faults(value: Any, details: list[ErrorDetails]) -> Project | None:
    """Return the project without the keys that are at fault; ``None`` where others may refer to those."""
    project = None
    for _ in range(_ROUNDS):
        places = {tuple(_keys(value, detail["loc"])) for detail in details}
        if any(not place or place[0] in ("secrets", "tenants", "targets", "name") for place in places):
            return None
        value = _pruned(value, places, ())
        project, details = _validated(value)
        if not details:
            break
    return project


def _pruned(value: Any, places: set[Place], here: Place) -> Any:
    if isinstance(value, dict):
        kept = {key: inner for key, inner in value.items() if (*here, key) not in places}
        return {key: _pruned(inner, places, (*here, key)) for key, inner in kept.items()}
    if isinstance(value, list):
        kept_items = [(index, inner) for index, inner in enumerate(value) if (*here, index) not in places]
        return [_pruned(inner, places, (*here, index)) for index, inner in kept_items]
    return value


def _overridden(document: Document, target: str) -> Document:
    """Lay a target's overrides over the rest. Lines of what is overridden are those of the override."""
    overrides: Place = ("targets", target, "overrides")
    value: Any = document.value
    for key in overrides:
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, dict) or not value:
        return document
    lines = dict(document.lines)
    merged = _merged(document.value, value, (), overrides, lines)
    return Document(merged, lines)


def _merged(under: Any, over: Any, place: Place, source: Place, lines: dict[Place, int]) -> Any:
    for inner in [known for known in lines if known[: len(source)] == source]:
        lines[(*place, *inner[len(source) :])] = lines[inner]
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    result = dict(under)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(under.get(key), value, (*place, key), (*source, key), lines)
    return result


def _keys(value: Any, location: Place) -> Iterator[str | int]:
    """Leave out of pydantic's location what is no key of the file: names of classes and of members of unions."""
    for key in location:
        if isinstance(value, dict) and key not in value and location[-1] != key:
            continue
        if isinstance(value, list) and not isinstance(key, int):
            continue
        if not isinstance(value, dict | list) and value is not None:
            continue
        yield key
        value = _inside(value, key)


def _inside(value: Any, key: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(key)
    return value[key] if isinstance(value, list) and isinstance(key, int) else None


def _line(finding: Finding) -> tuple[int, str]:
    parts = finding.where.split(":")
    return (int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0, finding.where)
