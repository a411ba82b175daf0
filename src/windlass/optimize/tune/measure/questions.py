"""What models are asked about: the same samples in every process, read or generated anew in each."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from windlass.config import ModelConfig
from windlass.samples import Samples, generate

GENERATED = 64
READ_AT_MOST = 1024


@dataclass(frozen=True, slots=True)
class Questions:
    """Where samples come from: ``data``, or else ``seed``."""

    data: str | None
    seed: int

    def samples(self, config: ModelConfig) -> Samples:
        """Return them. Raises ``UsageError`` where data does not fit the model."""
        if self.data is None:
            return generate(config, GENERATED, seed=self.seed)
        from windlass.samples import read

        return read(Path(self.data), config, limit=READ_AT_MOST)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for a job."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Read them back."""
        return cls(**values)
