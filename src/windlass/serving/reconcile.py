"""What has to happen so that the versions in service are the versions wanted: a function of values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from windlass.config import ModelConfig
from windlass.repository import ModelEntry, tensor_paths

# The configuration, and when and how large every file of a version was: equal means that nothing changed.
Mark = tuple[bytes, tuple[tuple[str, int, int], ...]]


@dataclass(frozen=True, slots=True)
class Steps:
    """Versions to load and versions to retire, ascending."""

    load: tuple[int, ...]
    retire: tuple[int, ...]


def reconcile(serving: Mapping[int, Mark], wanted: Mapping[int, Mark]) -> Steps:
    """Return the steps from what is served to what is wanted.

    Versions that stay and changed are loaded again: the data plane swaps them without a gap.
    """
    load = (version for version, mark in wanted.items() if serving.get(version) != mark)
    return Steps(tuple(sorted(load)), tuple(sorted(serving.keys() - wanted.keys())))


def marks(entry: ModelEntry, versions: Iterable[int]) -> dict[int, Mark]:
    """Read times and sizes of the files that make up versions; a configuration given with a request counts as well."""
    return {version: _mark(entry, version) for version in versions}


def _mark(entry: ModelEntry, version: int) -> Mark:
    config = entry.config_of(version) or ModelConfig()
    files = (entry.config_path_of(version), *_beside(entry.path, config))
    shared = [file for file in files if file.is_file()]
    return config.SerializeToString(deterministic=True), _stamps([*shared, *_inside(entry.versions[version])])


def _beside(model: Path, config: ModelConfig) -> list[Path]:
    """Return the files of a model that a configuration names and that are in no version."""
    named = [output.label_filename for output in config.output if output.label_filename]
    return [model / path for path in (*named, *tensor_paths(config))]


def _inside(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix != ".pyc"]


def _stamps(files: Iterable[Path]) -> tuple[tuple[str, int, int], ...]:
    return tuple((str(file), stat.st_mtime_ns, stat.st_size) for file in files if (stat := file.stat()))
