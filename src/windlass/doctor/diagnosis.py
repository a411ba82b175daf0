"""What a check found: how bad, what, the facts behind it, and what to type."""

from dataclasses import asdict, dataclass
from typing import Literal

# An ``error`` keeps models from being served as asked; a ``warning`` makes it slow or will hurt later; a ``note`` is
# worth knowing.
Severity = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One finding of a check; ``remedy`` is one thing to type or to do, and none where nothing is wrong."""

    check: str
    severity: Severity
    what: str
    found: str = ""
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the members as JSON would have them."""
        return asdict(self)
