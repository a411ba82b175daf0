"""Reads samples from folders: a file is a sample, and a folder inside is what its files are labelled with."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path

from windlass.errors import UsageError
from windlass.samples.arrays import check_sample, one_sample
from windlass.samples.found import Deferred, Found
from windlass.samples.images import SUFFIXES, check_image, image_sample
from windlass.samples.samples import Array
from windlass.samples.wanted import Tensor, Wanted


def read_folder(path: Path, wanted: Wanted, limit: int | None) -> Found:
    """Read images or ``.npy`` files, in the order of their names; with a limit, as many of each label as may be.

    Files are looked at now and read when they are asked for.
    """
    tensor = wanted.only_input(str(path), "one file for each sample")
    groups = list(_groups(path))
    check, load = _reading(path)
    found = Found()
    for file, label in sorted(list(_in_turn(groups))[:limit]):
        check(file, tensor)
        found.add(Deferred(tensor.name, partial(load, file, tensor)), str(file), label)
    return found


def _reading(path: Path) -> tuple[Callable[[Path, Tensor], None], Callable[[Path, Tensor], Array]]:
    kinds = {file.suffix.lower() == ".npy" for file in chain(_samples(path), *map(_samples, _folders(path)))}
    if len(kinds) == 2:
        raise UsageError(
            f"`{path}` holds images and .npy files", hint="put them into two folders, and ask about one at a time"
        )
    if not kinds:
        others = sorted({file.suffix or file.name for file in path.rglob("*") if file.is_file()})[:10]
        raise UsageError(
            f"`{path}` holds no images and no .npy files",
            found=", ".join(others) or "nothing",
            hint=f"images end in {', '.join(sorted(SUFFIXES))}; a folder inside is the label of its files",
        )
    return (check_sample, one_sample) if kinds == {True} else (check_image, image_sample)


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))


def _samples(path: Path) -> list[Path]:
    return sorted(
        child
        for child in path.iterdir()
        if child.suffix.lower() in {".npy", *SUFFIXES} and not child.name.startswith(".") and child.is_file()
    )


def _groups(path: Path) -> Iterator[list[tuple[Path, int | None]]]:
    """Yield the files of each label. Raises ``UsageError`` where only some have one."""
    folders, loose = _folders(path), _samples(path)
    if not folders:
        yield [(file, None) for file in loose]
        return
    if loose:
        hint = "put every file into the folder of its label, or all into one folder"
        raise UsageError(f"`{path}` holds files beside folders", found=f"`{loose[0].name}`", hint=hint)
    labels = _labels([folder.name for folder in folders])
    for folder, label in zip(folders, labels, strict=True):
        files = _samples(folder)
        if not files and _folders(folder):
            hint = "name the folder whose folders are the labels"
            raise UsageError(f"`{folder}` holds folders, and no samples", found=_folders(folder)[0].name, hint=hint)
        yield [(file, label) for file in files]


def _labels(names: Sequence[str]) -> list[int]:
    """Number the labels by their names' order, unless the names are numbers themselves: ``10`` is not after ``1``."""
    if all(name.isdecimal() for name in names):
        return [int(name) for name in names]
    return list(range(len(names)))


def _in_turn(groups: Sequence[list[tuple[Path, int | None]]]) -> Iterator[tuple[Path, int | None]]:
    """Take one of each label after the other, so that the first few tell something of all labels."""
    for some in zip_longest(*groups):
        yield from (item for item in some if item is not None)
