"""A mapping of a Compose file that remembers what was read of it, so that nothing is left out in silence."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from windlass.config.check import Finding
from windlass.config.yaml_text import Document, Place


@dataclass
class Notes:
    """What is to be told of a file, and where its lines are."""

    path: str
    document: Document
    found: list[Finding] = field(default_factory=list)

    def add(self, place: Place, message: str, hint: str = "", severity: str = "warning") -> None:
        """Note something about a place."""
        # What was included from another file has no line in this one.
        line = self.document.line(place) if place[:2] in self.document.lines else None
        dotted = ".".join(map(str, place))
        where = f"{self.path}:{line}: {dotted}" if line else f"{self.path}: {dotted}"
        finding = Finding(where, message, hint, severity)
        if finding not in self.found:
            self.found.append(finding)


class Section:
    """A mapping, taken apart key by key. Extension keys (``x-…``) are comments and need not be read."""

    def __init__(self, value: Any, place: Place, notes: Notes) -> None:
        self.place = place
        self.notes = notes
        self._value: dict[str, Any] = value if isinstance(value, dict) else {}
        self._left = {key for key in self._value if not key.startswith("x-")}
        if value is not None and not isinstance(value, dict):
            notes.add(place, f"expected a mapping, got {value!r}", severity="error")

    def __contains__(self, key: str) -> bool:
        """Tell whether a key is there and has a value."""
        return self._value.get(key) is not None

    def take(self, key: str, default: Any = None) -> Any:
        """Return a value as it is."""
        self._left.discard(key)
        value = self._value.get(key)
        return default if value is None else value

    def section(self, key: str) -> "Section":
        """Return an inner mapping; an empty one where it is not there."""
        return Section(self.take(key), (*self.place, key), self.notes)

    def sections(self, key: str) -> Iterator[tuple[str, "Section"]]:
        """Yield the members of an inner mapping of mappings."""
        inner = self.section(key)
        for name in list(inner._value):
            if not name.startswith("x-"):
                yield name, inner.section(name)

    def listed(self, key: str) -> list[Any]:
        """Return a list; a single value becomes a list of one."""
        value = self.take(key, [])
        return value if isinstance(value, list) else [value]

    def pairs(self, key: str) -> dict[str, str | None]:
        """Return what may be written as a mapping or as a list of ``NAME=value``."""
        value = self.take(key, {})
        if isinstance(value, list):
            split = (str(item).partition("=") for item in value)
            return {name: rest if equals else None for name, equals, rest in split}
        return {name: _scalar(item) for name, item in value.items()} if isinstance(value, dict) else {}

    def note(self, key: str, message: str, hint: str = "", severity: str = "warning") -> None:
        """Note something about a key that is there."""
        if key in self:
            self.take(key)
            self.notes.add((*self.place, key), message, hint, severity)

    def finish(self) -> None:
        """Note every key that nobody read."""
        for key in sorted(self._left):
            if self._value.get(key) is not None:
                self.notes.add((*self.place, key), "has no equivalent and was left out")


def _scalar(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
