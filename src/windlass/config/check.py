"""A checked problem: where it is, what it is, what to do about it."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem. An ``error`` keeps a model from being served; a ``warning`` does not."""

    where: str
    message: str
    hint: str = ""
    severity: str = "error"

    def as_dict(self) -> dict[str, str]:
        """Return the members as JSON would have them."""
        return asdict(self)
