"""What has to happen so that the versions in service are the versions wanted: a function of values."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from windlass.repository import ModelEntry

# The configuration, and when and how large every file was: equal means that nothing changed.
Fingerprint = tuple[bytes, tuple[tuple[str, int, int], ...]]

NOTHING: Fingerprint = (b"", ())


@dataclass(frozen=True, slots=True)
class Steps:
    """Versions to load and versions to retire, ascending."""

    load: tuple[int, ...]
    retire: tuple[int, ...]


def reconcile(serving: Iterable[int], wanted: Iterable[int], *, changed: bool) -> Steps:
    """Return the steps from what is served to what is wanted.

    Versions that stay are loaded again when the model ``changed``: the data plane swaps them without a gap.
    """
    now, then = set(serving), set(wanted)
    return Steps(tuple(sorted(then if changed else then - now)), tuple(sorted(now - then)))


def fingerprint(entry: ModelEntry) -> Fingerprint:
    """Read times and sizes of the files that make up a model; a configuration given with a request counts as well."""
    files = [entry.config_path] + [file for path in entry.versions.values() for file in sorted(path.rglob("*"))]
    config = entry.config.SerializeToString(deterministic=True) if entry.config else b""
    return config, tuple(_stamp(file) for file in files if file.is_file() and file.suffix != ".pyc")


def _stamp(file: Path) -> tuple[str, int, int]:
    stat = file.stat()
    return (str(file), stat.st_mtime_ns, stat.st_size)
