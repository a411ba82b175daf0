"""Which sizes of a model's tensors are open: those that requests choose. Read off the configuration, values only."""

from windlass.config import ModelConfig, as_executed

# The batch, where a model has one, comes before the dimensions that a configuration names.
BATCH = 0


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return every input's whole shape as the model sees it, in order; -1 is open. Optional inputs are left out."""
    full, batch = as_executed(config), (-1,) if config.max_batch_size > 0 else ()
    return {tensor.name: (*batch, *tensor.dims) for tensor in full.input if not getattr(tensor, "optional", False)}


def open_axes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return which axes of each input and output are open, the batch among them."""
    full, batch = as_executed(config), (-1,) if config.max_batch_size > 0 else ()
    every = {**{output.name: (*batch, *output.dims) for output in full.output}, **shapes(config)}
    return {name: tuple(axis for axis, size in enumerate(shape) if size < 0) for name, shape in every.items()}


def free_axes(config: ModelConfig) -> list[tuple[str, int]]:
    """Return the open axes of inputs besides the batch, as places in one row: ``("ids", 0)``."""
    batch = int(config.max_batch_size > 0)
    return [(name, axis - batch) for name in shapes(config) for axis in open_axes(config)[name] if axis >= batch]
