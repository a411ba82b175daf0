"""One version of a model in fewer bits: made, measured beside the first, and put among the versions."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from windlass.config import ModelConfig
from windlass.optimize.export.loaded import completed
from windlass.optimize.export.write import refuse_ragged
from windlass.optimize.quantize.data import Parts, parts
from windlass.optimize.quantize.given import size_on_disk
from windlass.optimize.quantize.judge import faults
from windlass.optimize.quantize.measure import measured
from windlass.optimize.quantize.report import Floor, Quantised, Unusable
from windlass.optimize.quantize.routes import method
from windlass.optimize.quantize.write import given, write_given
from windlass.optimize.room import size
from windlass.optimize.source import Source
from windlass.repository import ModelEntry
from windlass.repository.staging import new_version
from windlass.samples import Samples

Tell = Callable[[str], None]
# Reads what a person has for a model of that configuration.
Reader = Callable[[ModelConfig], Samples]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a version is made and judged with. ``seconds`` is how long each of the two is asked to tell its speed."""

    calibration: Reader | None = None
    data: Reader | None = None
    floor: Floor = field(default_factory=Floor)
    force: bool = False
    seconds: float = 1.0


def quantize_version(entry: ModelEntry, version: int, to: str, wishes: Wishes, tell: Tell) -> Quantised:
    """Make a new version of a model in fewer bits. What is served stays as it is.

    Raises ``ConversionError`` where that cannot be, ``Unusable`` where it answers otherwise and nobody wants it all the
    same, ``UsageError`` for data that are missing or show nothing, ``RoomError`` where memory or disk are too small; in
    all these cases, and after an interruption, nothing is left of it.
    """
    source = Source.of(entry, version)
    method(source, to)
    config = completed(source)
    refuse_ragged(source, config)
    shared = _shared(config, to, wishes)
    with new_version(entry) as staged:
        before = size_on_disk(source.folder)
        tell(_doing(source, to, before, shared))
        written, made = write_given(given(source, config, to, shared.calibration), staged.folder)
        tell(f"asking both, {len(shared.compared)} samples")
        after = replace(source, config=written, folder=staged.folder, version=staged.version)
        found = measured(source, after, shared.compared, wishes.seconds)
        quantised = Quantised(
            source.text,
            to,
            made.method,
            staged.version,
            (before, size_on_disk(staged.folder)),
            found.batch,
            found.speeds,
            found.comparison,
            tuple(faults(found.comparison, found.constant, wishes.floor)),
            (*made.notes, *shared.notes, *found.notes),
            wishes.force,
        )
        if quantised.faults and not wishes.force:
            raise Unusable(quantised)
    return quantised


def _shared(config: ModelConfig, to: str, wishes: Wishes) -> Parts:
    calibration, data = (reader(config) if reader else None for reader in (wishes.calibration, wishes.data))
    return parts(config, to, calibration, data)


def _doing(source: Source, to: str, size_bytes: int, shared: Parts) -> str:
    by = f" by {len(shared.calibration)} samples" if shared.calibration else ""
    return f"making {to} of `{source.text}` ({size(size_bytes)}){by}"
