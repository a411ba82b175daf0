"""PyTorch's element types by the names of the protocol, and the little that all PyTorch formats need."""

import contextlib
import io
import logging
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from windlass.backends.backend import missing
from windlass.backends.signature import TensorSignature
from windlass.formats.inspection import ranked

_WIRE = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "bfloat16": "BF16",
    "float32": "FP32",
    "float64": "FP64",
}
_TORCH = {f"TYPE_{wire}": element for element, wire in _WIRE.items()}


@cache
def torch() -> Any:
    """Import PyTorch; raises ``BackendError`` that says how to install it."""
    try:
        import torch
    except ImportError:
        raise missing("torch", "torch") from None
    return torch


@contextlib.contextmanager
def torch_quietly() -> Iterator[None]:
    """Keep PyTorch from telling what concerns its own developers."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        # Of graphs that it cannot follow it also prints what it has of them.
        nowhere = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def data_type(tensor: Any) -> str:
    """Return the configuration's name of a tensor's type; of one that is not served PyTorch's."""
    element = str(tensor.dtype).removeprefix("torch.")
    return f"TYPE_{_WIRE[element]}" if element in _WIRE else element


def served(name: str) -> bool:
    """Tell whether tensors of that type travel."""
    return name in _TORCH


def precisions(tensors: Iterable[Any]) -> dict[str, int]:
    """Count the elements of weights by type. Integers that count batches and the like are no weights."""
    counts: Counter[str] = Counter()
    for tensor in tensors:
        if tensor.is_floating_point() or tensor.dtype in (torch().int8, torch().uint8):
            counts[data_type(tensor).removeprefix("TYPE_")] += tensor.numel()
        elif tensor.is_quantized:
            counts[str(tensor.dtype).removeprefix("torch.q").upper()] += tensor.numel()
    return ranked(counts)


def filled(signature: TensorSignature, batch: int, open_size: int, seed: int = 0) -> Any:
    """Make a tensor that fits: floats around 0, integers of 0 and 1, which are in every vocabulary."""
    lib = torch()
    generator = lib.Generator().manual_seed(seed)
    shape = [
        batch if not axis and size < 0 else open_size if size < 0 else size for axis, size in enumerate(signature.shape)
    ]
    dtype = getattr(lib, _TORCH[signature.data_type])
    if dtype.is_floating_point:
        return lib.randn(shape, generator=generator).to(dtype)
    return lib.randint(0, 2, shape, generator=generator).to(dtype)
