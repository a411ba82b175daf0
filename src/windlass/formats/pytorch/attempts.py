"""Inputs are tried on a module until it takes some."""

import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import windlass
from windlass.backends.signature import TensorSignature
from windlass.errors import UsageError
from windlass.formats.pytorch.example import OPEN_SIZES, Example
from windlass.formats.pytorch.results import reason, run


def runnable(module: Any, candidates: Iterable[tuple[TensorSignature, ...]], where: str) -> Example:
    """Return the first example that a module takes; raises ``UsageError`` with what it said of the last."""
    said: Exception | None = None
    for example in _examples(candidates):
        try:
            run(module, example.at(2))
            if example.has_open_sizes:
                run(module, example.at(3, 1.5))
        except Exception as error:  # operators raise what they like
            said = error
        else:
            return example
    raise UsageError(
        f"`{where}` does not run on inputs made for it: {reason(said)}",
        found=place(said, where) if said else None,
        hint="tell its inputs with their whole shapes: `--input NAME:FP32[-1,3,224,224]`; -1 is any size",
    )


def _examples(candidates: Iterable[tuple[TensorSignature, ...]]) -> Iterator[Example]:
    for signatures in candidates:
        has_open = any(size < 0 for one in signatures for size in one.shape[1:])
        yield from (Example.of(signatures, size) for size in (OPEN_SIZES if has_open else OPEN_SIZES[:1]))


def place(error: BaseException, where: str) -> str | None:
    """Return the line of the user's own code that an exception went through last."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename, where)]
    return f"{frames[-1].filename}:{frames[-1].lineno}: {(frames[-1].line or '').strip()}" if frames else None


def _is_own(filename: str, where: str) -> bool:
    """Code beside the file that was named is the user's; that of packages and of windlass is not."""
    folder, file = Path(where.partition(":")[0]).resolve().parent, Path(filename).resolve()
    foreign = "site-packages" in file.parts or file.is_relative_to(Path(windlass.__file__).resolve().parent)
    return file.is_relative_to(folder) and not foreign and file.suffix == ".py"
