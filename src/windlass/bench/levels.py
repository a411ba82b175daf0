"""How much load: so many clients at a time, or so many requests a second."""

from dataclasses import dataclass
from typing import Literal

from windlass.errors import UsageError
from windlass.report.numbers import amount

Kind = Literal["concurrency", "rate"]

# More levels than anybody waits for are a slip of the pen.
_MOST = 200


@dataclass(frozen=True, slots=True)
class Level:
    """``concurrency``: clients that ask again when they are answered. ``rate``: requests a second, answered or not."""

    kind: Kind
    value: float

    def __str__(self) -> str:
        """Write it as a person says it."""
        return f"concurrency {self.value:g}" if self.kind == "concurrency" else f"{amount(self.value)} requests/s"


def parse_levels(kind: Kind, text: str) -> tuple[Level, ...]:
    """Read ``1,4,16``, or a range: ``1:64`` in doubling steps, ``10:50:10`` in equal ones. Raises ``UsageError``."""
    values: list[float] = []
    for part in text.split(","):
        values += _range(kind, text, part) if ":" in part else [_number(kind, text, part)]
    return tuple(Level(kind, value) for value in dict.fromkeys(values))


def _range(kind: Kind, text: str, part: str) -> list[float]:
    numbers = [_number(kind, text, word) for word in part.split(":")]
    if len(numbers) > 3 or numbers[1] < numbers[0]:
        raise _fault(kind, text, f"`{part}`")
    low, high = numbers[:2]
    if len(numbers) == 3:
        count = int((high - low) / numbers[2] + 1e-9) + 1
        if count > _MOST:
            raise UsageError(f"option `--{kind}`: {count} levels", hint=f"at most {_MOST}: take larger steps")
        return [low + index * numbers[2] for index in range(count)]
    values = [low]
    while values[-1] * 2 < high:
        values.append(values[-1] * 2)
    return [*values, high] if high > low else values


def _number(kind: Kind, text: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise _fault(kind, text, f"`{word.strip()}`") from None
    whole = kind == "rate" or value == int(value) if abs(value) < 1e9 else False
    if value <= 0 or not whole:
        raise _fault(kind, text, f"`{word.strip()}`")
    return value


def _fault(kind: Kind, text: str, found: str) -> UsageError:
    of = "whole numbers" if kind == "concurrency" else "numbers"
    return UsageError(
        f"option `--{kind}`: expected {of} over 0, as `1,4,16` or `1:64`, got `{text}`",
        found=found if found != f"`{text}`" else None,
    )
