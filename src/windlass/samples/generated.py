"""Makes samples that fit a model's signature, the same ones from the same seed."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from windlass.config import ModelConfig
from windlass.config.datatypes import BY_NUMBER, DataType, numpy_dtype
from windlass.errors import UsageError
from windlass.samples.samples import Array, Samples

# Integers are most often places in some table: small ones are in nearly all of them.
_BELOW = 100
# Integers that models of texts take beside their tokens, by what everybody calls them.
_ONES, _ZEROS = re.compile(r"mask", re.IGNORECASE), re.compile(r"(token_type|segment)(_ids)?", re.IGNORECASE)


def generate(
    config: ModelConfig,
    count: int,
    *,
    seed: int = 0,
    open_size: int = 16,
    sizes: Mapping[str, int] | None = None,
    below: int = _BELOW,
) -> Samples:
    """Return ``count`` samples for the inputs that a configuration declares.

    Floats are normally distributed around 0, integers are from 0 to 99, or ``below`` another number, strings are short
    texts; masks are ones, and types of tokens zeros. An open dimension gets ``open_size``; in an input that ``sizes``
    names, the size given there. Optional inputs are left out. Raises ``UsageError`` for a model that declares no input.
    """
    wanted = [tensor for tensor in config.input if not tensor.optional]
    if not wanted:
        raise UsageError(f"model `{config.name}` declares no input", hint="write its inputs into its config.pbtxt")
    generator = np.random.default_rng(seed)
    rows = [
        {
            tensor.name: _array(
                generator,
                BY_NUMBER[tensor.data_type],
                _shape(tensor.dims, (sizes or {}).get(tensor.name, open_size)),
                _range(tensor.name, below),
            )
            for tensor in wanted
        }
        for _ in range(count)
    ]
    return Samples(tuple(rows), config.max_batch_size > 0, f"generated from seed {seed}")


def _shape(dims: Sequence[int], open_size: int) -> tuple[int, ...]:
    return tuple(open_size if size < 0 else size for size in dims)


def _range(name: str, below: int) -> tuple[int, int]:
    """Return the range that an input's integers are from, without its end."""
    return (1, 2) if _ONES.search(name) else (0, 1) if _ZEROS.fullmatch(name) else (0, below)


def _array(
    generator: np.random.Generator, data_type: DataType, shape: tuple[int, ...], integers: tuple[int, int]
) -> Array:
    dtype = numpy_dtype(data_type)
    if data_type.wire == "BYTES":
        texts = [f"sample {number}".encode() for number in generator.integers(_BELOW, size=int(np.prod(shape)))]
        return np.array(texts, dtype=object).reshape(shape)
    if data_type.wire == "BOOL":
        return generator.integers(2, size=shape).astype(dtype)
    if dtype.kind in "iu":
        return generator.integers(*integers, size=shape).astype(dtype)
    return generator.standard_normal(shape, dtype=np.float32).astype(dtype)
