"""Turns image files into what a model takes: its size, its channels first or last, floats from 0 to 1."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from windlass.config.datatypes import numpy_dtype
from windlass.errors import UsageError
from windlass.samples.samples import Array
from windlass.samples.wanted import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})

_BRIGHTEST = 255


@dataclass(frozen=True, slots=True)
class Layout:
    """How an input holds an image; an open size is the image's own. ``above`` counts the axes before it, all of one."""

    above: int
    channels: int
    height: int
    width: int
    order: str

    @classmethod
    def of(cls, shape: Sequence[int], path: Path) -> "Layout":
        """Read it from a shape, with or without a batch. Raises ``UsageError`` where no image fits."""
        dims = list(shape)
        while len(dims) > 3 and dims[0] in (-1, 1):
            dims.pop(0)
        above = len(shape) - len(dims)
        if len(dims) == 3 and dims[0] in (1, 3):
            return cls(above, dims[0], dims[1], dims[2], "first")
        if len(dims) == 3 and dims[2] in (1, 3):
            return cls(above, dims[2], dims[0], dims[1], "last")
        if len(dims) == 2 or (len(dims) == 3 and dims[0] == -1):
            return cls(len(shape) - 2, 1, dims[-2], dims[-1], "none")
        raise UsageError(
            f"`{path}`: an image does not fit an input of shape {list(shape)}",
            hint="an image has 1 or 3 channels, first or last: [3, height, width]; prepare others as .npy",
        )

    def arrange(self, picture: "Image") -> Array:
        """Scale an image, and put its channels where they belong."""
        size = (
            self.width if self.width > 0 else picture.width,
            self.height if self.height > 0 else picture.height,
        )
        pixels = np.asarray(picture.convert("L" if self.channels == 1 else "RGB").resize(size))
        if self.order != "none":
            pixels = pixels.reshape(*pixels.shape[:2], self.channels)
        if self.order == "first":
            pixels = pixels.transpose(2, 0, 1)
        return pixels.reshape((1,) * self.above + pixels.shape)


def image(path: Path, shape: Sequence[int], dtype: "np.dtype[Any]") -> Array:
    """Return an image as an input of this shape takes it. Raises ``UsageError``."""
    layout = Layout.of(shape, path)
    with _opened(path) as picture:
        pixels = layout.arrange(picture)
    return np.ascontiguousarray(pixels if dtype.kind in "iu" else pixels / _BRIGHTEST).astype(dtype)


def image_sample(path: Path, tensor: Tensor) -> Array:
    """Return an image as a sample; an input of strings gets the file as it is. Raises ``UsageError``."""
    if not tensor.holds_texts:
        return image(path, tensor.dims, numpy_dtype(tensor.data_type))
    content = np.empty((), dtype=object)
    content[()] = path.read_bytes()
    return tensor.fitted(content, str(path))


def check_image(path: Path, tensor: Tensor) -> None:
    """Look at the first bytes of an image that is to be a sample. Raises ``UsageError`` where it cannot be that."""
    if tensor.holds_texts:
        return
    Layout.of(tensor.dims, path)
    dtype = numpy_dtype(tensor.data_type)
    if dtype.kind == "b" or (dtype.kind == "i" and np.iinfo(dtype).max < _BRIGHTEST):
        hint = "prepare the samples as .npy"
        raise tensor.wrong_type(f"an image, whose pixels are from 0 to {_BRIGHTEST}", str(path), hint)
    with _opened(path):
        pass


@contextmanager
def _opened(path: Path) -> "Iterator[Image]":
    try:
        from PIL import Image
    except ImportError:
        raise UsageError("reading images needs Pillow", hint="pip install pillow") from None
    try:
        with Image.open(path) as picture:
            yield picture
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = "it is no image that can be read" if "cannot identify" in str(error) else error
        hint = "write the image anew, or leave it out"
        raise UsageError(f"`{path}`: {reason}", where=str(path), hint=hint) from None
