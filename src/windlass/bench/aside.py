"""Which repository is served to be measured: the one there is, or one beside it in which other versions are served."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from windlass.bench.subject import Subject
from windlass.repository import ModelEntry
from windlass.repository.choice import choose
from windlass.repository.layout import CONFIG_FILE
from windlass.repository.serving_policy import with_versions


@contextmanager
def laid_out(repository: Path, subjects: Sequence[Subject]) -> Iterator[tuple[Path, tuple[Subject, ...]]]:
    """Lend a repository in which the versions that are named are served, and its models by their names.

    Nothing of the repository changes: a version that its policy does not serve is served from a folder of links.
    Raises ``RepositoryError`` for what is not there.
    """
    entries = [choose(str(subject), repository)[0] for subject in subjects]
    named = tuple(replace(subject, name=entry.name) for subject, entry in zip(subjects, entries, strict=True))
    folders = {entry.path.parent for entry in entries}
    if len(folders) == 1 and not any(subject.version for subject in subjects):
        yield folders.pop(), named
        return
    with tempfile.TemporaryDirectory(prefix="windlass-bench-") as above:
        pinned = {entry.name: entry for entry, subject in zip(entries, named, strict=True) if subject.version}
        for entry in pinned.values():
            _pin(entry, Path(above), [int(one.version) for one in named if one.name == entry.name and one.version])
        for entry in entries:
            _link(entry.path, Path(above))
        # Models that those ask.
        for folder in folders:
            for path in folder.iterdir():
                if path.is_dir():
                    _link(path, Path(above))
        yield Path(above), named


def _pin(entry: ModelEntry, above: Path, versions: Sequence[int]) -> None:
    folder = above / entry.name
    folder.mkdir()
    for path in entry.path.iterdir():
        if path.name != CONFIG_FILE:
            (folder / path.name).symlink_to(path.resolve())
    text = entry.config_path.read_text(encoding="utf-8") if entry.config_path.exists() else ""
    (folder / CONFIG_FILE).write_text(with_versions(text, versions), encoding="utf-8")


def _link(path: Path, above: Path) -> None:
    place = above / path.resolve().name
    if not place.exists():
        place.symlink_to(path.resolve())
