"""What a model file says of its inputs and outputs, against what the configuration says: completed, or refused."""

from collections.abc import Sequence
from dataclasses import dataclass

from windlass.config import ModelConfig
from windlass.config.datatypes import BY_CONFIG, BY_NUMBER
from windlass.errors import BackendError


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
        batching = full.max_batch_size > 0
        for tensors, given in ((self.inputs, full.input), (self.outputs, full.output)):
            if not given:
                for tensor in tensors:
                    dims = tensor.shape[1:] if batching else tensor.shape
                    given.add(name=tensor.name, data_type=BY_CONFIG[tensor.data_type].number, dims=dims or (1,))
        self._check(full)
        return full

    def _derive_batching(self, config: ModelConfig, default_max_batch_size: int) -> None:
        """A file whose every first dimension is open can be batched."""
        tensors = (*self.inputs, *self.outputs)
        open_ended = all(tensor.shape[:1] == (-1,) and len(tensor.shape) > 1 for tensor in tensors)
        if open_ended and config.max_batch_size == 0:
            config.max_batch_size = default_max_batch_size
        if config.max_batch_size > 1 and not config.WhichOneof("scheduling_choice"):
            config.dynamic_batching.SetInParent()

    def _check(self, config: ModelConfig) -> None:
        name = config.name
        if len(config.input) != len(self.inputs):
            raise BackendError(
                f"unable to load model '{name}', configuration expects {len(config.input)} inputs, "
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
                wanted = BY_NUMBER[declared.data_type].config if declared.data_type in BY_NUMBER else "TYPE_INVALID"
                if wanted != tensor.data_type:
                    raise BackendError(
                        f"unable to load model '{name}', configuration expects datatype {wanted} for {kind} "
                        f"'{tensor.name}', model provides {tensor.data_type}"
                    )
                _check_shape(config, tensor, list(declared.dims))


def _check_shape(config: ModelConfig, tensor: TensorSignature, dims: Sequence[int]) -> None:
    prefix = f"model '{config.name}', tensor '{tensor.name}':"
    shape = list(tensor.shape)
    if config.max_batch_size > 0:
        if not shape or shape[0] != -1:
            raise BackendError(
                f"{prefix} for the model to support batching the shape should have at least 1 dimension and the "
                f"first dimension must be -1; but shape expected by the model is {_text(shape)}"
            )
        full = [-1, *dims]
        if not _fits(shape, full):
            raise BackendError(
                f"{prefix} the model expects {len(shape)} dimensions (shape {_text(shape)}) but the model "
                f"configuration specifies {len(full)} dimensions (an initial batch dimension because max_batch_size > 0 followed "
                f"by the explicit tensor shape, making complete shape {_text(full)})"
            )
    elif not _fits(shape, dims):
        raise BackendError(
            f"{prefix} the model expects {len(shape)} dimensions (shape {_text(shape)}) but the model configuration "
            f"specifies {len(dims)} dimensions (shape {_text(dims)})"
        )


def _fits(shape: Sequence[int], dims: Sequence[int]) -> bool:
    """A size may be narrower in the configuration than in the file, never wider. A scalar is an array of one."""
    if not shape:
        return list(dims) == [1]
    return len(shape) == len(dims) and all(
        model == -1 or model == given for model, given in zip(shape, dims, strict=True)
    )


def _text(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
