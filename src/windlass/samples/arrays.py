"""Reads samples from numpy's files: one array, or one for each input. What cannot be meant is told before it is read.

Nothing is unpickled: a file with Python objects in it could run code. Arrays of ``.npy`` files stay on disk and are
read as they are used; of those in an ``.npz`` file no more is read than is asked for.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from windlass.errors import UsageError
from windlass.samples.found import Found, labelled
from windlass.samples.samples import Array
from windlass.samples.wanted import Tensor, Wanted

_LABELS = "labels"


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Say of a file that numpy cannot read where it is."""
    try:
        yield
    except UsageError:
        raise
    except MemoryError:
        hint = "ask for fewer samples with a limit, or write a larger file as .npy: that one is read as it is used"
        raise UsageError("the array does not fit into the memory", where=where, hint=hint) from None
    except Exception as error:  # a damaged head has numpy's parser fail in every way that there is
        hint = "write it anew with numpy.save or numpy.savez"
        raise UsageError(f"this cannot be read as an array: {error}", where=where, hint=hint) from None


@dataclass(frozen=True, slots=True)
class Head:
    """What the first bytes of an array's file say."""

    shape: tuple[int, ...]
    by_column: bool
    dtype: "np.dtype[Any]"

    @classmethod
    def read(cls, file: IO[bytes], where: str) -> "Head":
        """Read it, and leave the file where the values begin. Raises ``UsageError`` for an array of objects."""
        with readable(where):
            version = np.lib.format.read_magic(file)
            reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            head = cls(*reader(file))
        if head.dtype.hasobject:
            raise UsageError(
                "the array holds Python objects, which could run code when they are read",
                where=where,
                hint="save texts as `numpy.array(texts, dtype=str)`, and numbers as an array of numbers",
            )
        return head

    def rows(self, file: IO[bytes], limit: int | None) -> Array:
        """Read the values of the first rows."""
        size = int(np.prod(self.shape[1:], dtype=np.int64))
        count = self.shape[0] if limit is None or self.by_column else min(limit, self.shape[0])
        data = file.read(count * size * self.dtype.itemsize)
        if self.by_column:
            return np.frombuffer(data, self.dtype).reshape(self.shape, order="F")[:limit]
        return np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])


def read_array(path: Path, wanted: Wanted, limit: int | None) -> Found:
    """Read the samples of the one input from an array whose first axis they are along."""
    tensor = wanted.only_input(str(path), "one array")
    with path.open("rb") as file:
        head = Head.read(file, str(path))
    along = _along_samples(head.shape, tensor, str(path))
    return _gathered(str(path), {tensor: _in_rows(_mapped(path), along)}, None, limit)


def one_sample(path: Path, tensor: Tensor) -> Array:
    """Read a file that is one sample, with or without a batch axis of one."""
    array = _mapped(path)
    alone = array.ndim == len(tensor.dims) + 1 and len(array) == 1
    return tensor.fitted(array[0] if alone else array, str(path))


def check_sample(path: Path, tensor: Tensor) -> None:
    """Look at the first bytes of a file that is one sample. Raises ``UsageError`` where it cannot be that."""
    with path.open("rb") as file:
        shape = Head.read(file, str(path)).shape
    alone = len(shape) == len(tensor.dims) + 1 and shape[0] == 1
    tensor.check_shape(shape[1:] if alone else shape, str(path))


def _mapped(path: Path) -> Array:
    with readable(str(path)):
        try:
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        except OSError as error:
            raise ValueError(error.strerror or error) from None


def read_arrays(path: Path, wanted: Wanted, limit: int | None) -> Found:
    """Read an array for each input, and the labels, from an ``.npz`` file."""
    with readable(str(path)), zipfile.ZipFile(path) as archive:
        names = {name.removesuffix(".npy"): name for name in archive.namelist()}
        labelled_too = _LABELS in names and _LABELS not in wanted.inputs
        wanted.check_names(set(names) - ({_LABELS} if labelled_too else set()), str(path), _LABELS)
        columns = {
            tensor: _column(archive, names[name], tensor, path, limit)
            for name, tensor in wanted.inputs.items()
            if name in names
        }
        labels = _label_column(archive, names[_LABELS], path, limit) if labelled_too else None
    return _gathered(str(path), columns, labels, limit)


def _column(archive: zipfile.ZipFile, member: str, tensor: Tensor, path: Path, limit: int | None) -> Array:
    where = f"{path}[{tensor.name}]"
    with readable(where), archive.open(member) as file:
        head = Head.read(file, where)
        along = _along_samples(head.shape, tensor, where)
        if along != (1, *head.shape):
            return _in_rows(head.rows(file, limit), along)
        return head.rows(file, None).reshape(along)


def _label_column(archive: zipfile.ZipFile, member: str, path: Path, limit: int | None) -> Array:
    where = f"{path}[{_LABELS}]"
    with readable(where), archive.open(member) as file:
        head = Head.read(file, where)
        if not head.shape:
            raise UsageError("`labels` is one value", where=where, hint="give one label for each sample")
        labels = head.rows(file, limit)
    if labels.dtype.kind in "SU":
        return labelled([text.decode() if isinstance(text, bytes) else text for text in labels.tolist()], where)
    return labels


def _along_samples(shape: tuple[int, ...], tensor: Tensor, where: str) -> tuple[int, ...]:
    """Return the shape with the axis of the samples first: an array of just the declared shape is one sample."""
    along: tuple[int, ...] = ()
    if tensor.takes_shape(shape[1:]) and len(shape) == len(tensor.dims) + 1:
        along = shape
    elif len(shape) == 1 and tensor.dims and set(tensor.dims) == {1}:
        along = (*shape, *tensor.dims)
    elif tensor.takes_shape(shape):
        along = (1, *shape)
    if along:
        tensor.check_shape(along[1:], where)
        return along
    raise UsageError(
        f"input `{tensor.name}`: expected {tensor.data_type.wire} {['samples', *tensor.dims]}".replace("'", ""),
        where=where,
        found=f"shape {list(shape)}",
        hint="stack the samples along the first axis, each of the shape that the model declares; `-1` is any size",
    )


def _in_rows(array: Array, along: tuple[int, ...]) -> Array:
    return array if array.shape[1:] == along[1:] and array.ndim == len(along) else array.reshape(-1, *along[1:])


def _gathered(path: str, columns: dict[Tensor, Array], labels: Array | None, limit: int | None) -> Found:
    counts = {tensor.name: len(array) for tensor, array in columns.items()}
    if labels is not None:
        counts[_LABELS] = len(labels)
    if len(set(counts.values())) != 1:
        raise UsageError(
            "the arrays differ in how many samples they hold",
            where=path,
            found=", ".join(f"`{name}` {count}" for name, count in counts.items()),
            hint="give every array as many samples along its first axis",
        )
    found = Found()
    for index in range(len(next(iter(columns.values()))))[:limit]:
        where = f"{path}[{index}]"
        row = {tensor.name: tensor.fitted(array[index], where) for tensor, array in columns.items()}
        found.add(row, where, None if labels is None else labels[index])
    return found
