"""What a model file says of its inputs and outputs, against the configuration: completed, or refused."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from windlass.config import ModelConfig, as_executed, flat_tensors, ragged_inputs
from windlass.config.datatypes import BY_CONFIG, BY_NUMBER
from windlass.errors import BackendError

if TYPE_CHECKING:
    import numpy as np

    Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True)
class TensorSignature:
    """A tensor of the model's file; ``shape`` has every dimension, ``-1`` for any size."""

    name: str
    data_type: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """All tensors of the model's file."""

    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]

    def complete(self, config: ModelConfig, default_max_batch_size: int) -> ModelConfig:
        """Return the configuration with what it leaves out; raises ``BackendError`` where the two disagree."""
        full = ModelConfig()
        full.CopyFrom(config)
        if not (config.input and config.output):
            self._derive_batching(full, default_max_batch_size)
        executed = as_executed(full)
        for tensors, given, known in (
            (self.inputs, full.input, executed.input),
            (self.outputs, full.output, executed.output),
        ):
            made = {tensor.name for tensor in known}
            for tensor in [] if given else [tensor for tensor in tensors if tensor.name not in made]:
                dims = tensor.shape[1:] if full.max_batch_size > 0 else tensor.shape
                # A configuration has no scalars: they are arrays of one, see `Scalars`.
                given.add(name=tensor.name, data_type=BY_CONFIG[tensor.data_type].number, dims=dims or (1,))
        self._check(full)
        return full

    def _derive_batching(self, config: ModelConfig, default_max_batch_size: int) -> None:
        """A file whose every first dimension is open can be batched, unless the user counted that one in."""
        tensors = (*self.inputs, *self.outputs)
        ranks = {tensor.name: len(tensor.shape) for tensor in tensors}
        counted_in = any(len(given.dims) == ranks.get(given.name) for given in _declared(config))
        if not counted_in and config.max_batch_size == 0 and all(tensor.shape[:1] == (-1,) for tensor in tensors):
            config.max_batch_size = default_max_batch_size
        if config.max_batch_size > 1 and not config.WhichOneof("scheduling_choice"):
            config.dynamic_batching.SetInParent()

    def _check(self, config: ModelConfig) -> None:
        config = as_executed(config)
        flat = flat_tensors(config)
        if len(config.input) != len(self.inputs):
            raise BackendError(
                f"unable to load model '{config.name}', configuration expects {len(config.input)} inputs, "
                f"model provides {len(self.inputs)}"
            )
        for kind, tensors, given in (
            ("input", self.inputs, config.input),
            ("output", self.outputs, config.output),
        ):
            known = {tensor.name: tensor for tensor in tensors}
            for declared in given:
                tensor = known.get(declared.name)
                if tensor is None:
                    allowed = ", ".join(sorted(known))
                    raise BackendError(f"unexpected inference {kind} '{declared.name}', allowed {kind}s are: {allowed}")
                _check_type(config.name, kind, tensor, declared.data_type)
                if declared.name not in flat:
                    _check_shape(config, tensor, list(declared.dims))
                elif kind == "input" and tensor.name in ragged_inputs(config) and tensor.shape != (-1,):
                    raise BackendError(
                        f"unable to load model '{config.name}', configuration expects model provides input with shape "
                        f"[-1] for ragged input '{tensor.name}', model provides {_text(tensor.shape)}"
                    )

    def scalars(self, config: ModelConfig) -> "Scalars":
        """Tell the tensors that have one dimension less in the file than in the completed configuration."""
        config = as_executed(config)

        def short(tensors: tuple[TensorSignature, ...], ranks: dict[str, int]) -> Iterator[tuple[str, int]]:
            files = {tensor.name: len(tensor.shape) for tensor in tensors}
            return ((name, rank) for name, rank in ranks.items() if files[name] == rank - 1)

        inputs = short(self.inputs, _ranks(config, config.input))
        return Scalars(tuple(name for name, _ in inputs), tuple(short(self.outputs, _ranks(config, config.output))))


@dataclass(frozen=True, slots=True)
class Scalars:
    """Tensors without dimensions, but perhaps a batch's, in the file; to clients they are arrays of one."""

    inputs: tuple[str, ...]
    outputs: tuple[tuple[str, int], ...]

    @classmethod
    def of_outputs(cls, config: ModelConfig) -> "Scalars":
        """Where a file tells nothing: any output of one element may come without its dimension."""
        outputs = as_executed(config).output
        ranks = _ranks(config, outputs)
        alone = (given.name for given in outputs if list(given.dims) == [1])
        return cls((), tuple((name, ranks[name]) for name in alone if name in ranks))

    def enter(self, arrays: "Arrays") -> None:
        """Take the last dimension away, in place."""
        for name in self.inputs:
            arrays[name] = arrays[name].reshape(arrays[name].shape[:-1])

    def leave(self, arrays: "Arrays") -> "Arrays":
        """Put the last dimension back, in place."""
        for name, rank in self.outputs:
            # A file that does not tell a shape looks like a scalar: the array itself tells.
            if arrays[name].ndim == rank - 1:
                arrays[name] = arrays[name][..., None]
        return arrays


def _declared(config: ModelConfig) -> Iterable[Any]:
    return chain(config.input, config.output)


def _ranks(config: ModelConfig, tensors: Iterable[Any]) -> dict[str, int]:
    """Return how many dimensions tensors have with the batch, where that is declared."""
    batch, flat = int(config.max_batch_size > 0), flat_tensors(config)
    return {given.name: batch + len(given.dims) for given in tensors if given.name not in flat}


def _check_type(model: str, kind: str, tensor: TensorSignature, number: int) -> None:
    wanted = BY_NUMBER[number].config if number in BY_NUMBER else "TYPE_INVALID"
    if wanted != tensor.data_type:
        raise BackendError(
            f"unable to load model '{model}', configuration expects datatype {wanted} for {kind} "
            f"'{tensor.name}', model provides {tensor.data_type}"
        )


def _check_shape(config: ModelConfig, tensor: TensorSignature, dims: Sequence[int]) -> None:
    prefix = f"model '{config.name}', tensor '{tensor.name}':"
    shape = list(tensor.shape)
    expects = f"{prefix} the model expects {len(shape)} dimensions (shape {_text(shape)}) but the model configuration"
    if config.max_batch_size > 0:
        if not shape or shape[0] != -1:
            raise BackendError(
                f"{prefix} for the model to support batching the shape should have at least 1 dimension and "
                f"the first dimension must be -1; but shape expected by the model is {_text(shape)}"
            )
        full = [-1, *dims]
        if not _fits(shape[1:], dims):
            raise BackendError(
                f"{expects} specifies {len(full)} dimensions (an initial batch dimension because max_batch_size "
                f"> 0 followed by the explicit tensor shape, making complete shape {_text(full)})"
            )
    elif not _fits(shape, dims):
        raise BackendError(f"{expects} specifies {len(dims)} dimensions (shape {_text(dims)})")


def _fits(shape: Sequence[int], dims: Sequence[int]) -> bool:
    """Sizes may be narrower in the configuration than in the file, never wider; a scalar is an array of one."""
    if not shape:
        return list(dims) == [1]
    return len(shape) == len(dims) and all(model in (-1, given) for model, given in zip(shape, dims, strict=True))


def _text(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
