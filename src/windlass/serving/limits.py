"""What instances of all models share, as start commands say it: ``<resource>:<count>[:<device>]``."""

from dataclasses import dataclass
from typing import Self

from windlass.errors import ServerError


@dataclass(frozen=True, slots=True)
class ResourceLimit:
    """How much there is of a resource: on one device, or on each."""

    name: str
    count: int
    device: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``R1:10`` or ``R1:10:0``. Raises ``ServerError`` for anything else."""
        name, *numbers = text.split(":")
        if not name or len(numbers) not in {1, 2} or not all(number.isdecimal() for number in numbers):
            raise ServerError(
                f"expected `<resource>:<count>:<device>` or `<resource>:<count>`, got `{text}`",
                hint="limit what instances share: `--rate-limit-resource=R1:10`, or `R1:10:0` for device 0 alone",
            )
        return cls(name, *map(int, numbers))
