"""``@windlass.model``: a typed function, or a class with ``__call__``, becomes a model.

    import windlass
    from windlass import Tensor

    @windlass.model(max_batch_size=64)
    def double(x: Tensor["FP32", 16]) -> Tensor["FP32", 16]:
        return x * 2

Inputs are the arguments. The answer is one array, called ``output``, or a dictionary of arrays whose names and types
are given by ``outputs={"y": Tensor["FP32", 16]}`` or by a ``TypedDict`` as the annotation. With ``max_batch_size`` the
function gets all requests of a batch joined along a first dimension that the annotation leaves out, and returns as many
rows. An argument annotated with anything else takes its type and shape from ``config.pbtxt``.
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, TypeVar, overload

import numpy as np

from windlass.backends.backend import LoadContext
from windlass.backends.model_file import users_traceback
from windlass.backends.placement import Placement, placements
from windlass.config import ModelConfig
from windlass.config.datatypes import BY_NUMBER, BY_WIRE, numpy_dtype
from windlass.errors import BackendError, ConfigError

_MARK = "__windlass_model__"

Array = np.ndarray[Any, Any]
_T = TypeVar("_T", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class TensorType:
    """An element type and the dimensions without the batch; ``-1`` is any size."""

    data_type: str
    dims: tuple[int, ...]


class Tensor:
    """Annotates an argument or a result: ``Tensor["FP32", 3, 224, 224]``; without sizes it is one element."""

    def __class_getitem__(cls, item: Any) -> Any:
        data_type, *dims = item if isinstance(item, tuple) else (item,)
        if data_type not in BY_WIRE:
            raise ConfigError(f"Tensor[`{data_type}`]: unknown data type", hint=f"one of {', '.join(BY_WIRE)}")
        return Annotated[Array, TensorType(data_type, tuple(dims) or (1,))]


@dataclass(frozen=True, slots=True)
class _Mark:
    max_batch_size: int
    max_queue_delay_us: int
    outputs: dict[str, Any] | None


@overload
def model(target: _T) -> _T: ...


@overload
def model(
    *, max_batch_size: int = 0, max_queue_delay_us: int = 0, outputs: dict[str, Any] | None = None
) -> Callable[[_T], _T]: ...


def model(
    target: Callable[..., Any] | None = None,
    *,
    max_batch_size: int = 0,
    max_queue_delay_us: int = 0,
    outputs: dict[str, Any] | None = None,
) -> Any:
    """Mark the function or class of a ``model.py`` that is served; see the module's documentation."""
    mark = _Mark(max_batch_size, max_queue_delay_us, outputs)

    def decorate(chosen: Callable[..., Any]) -> Callable[..., Any]:
        setattr(chosen, _MARK, mark)
        return chosen

    return decorate if target is None else decorate(target)


def decorated(module: ModuleType) -> Callable[..., Any] | None:
    """Return what a module marks as its model; raises ``BackendError`` when it marks several."""
    found = [value for value in vars(module).values() if callable(value) and hasattr(value, _MARK)]
    if len(found) > 1:
        names = ", ".join(f"`{value.__name__}`" for value in found)
        raise BackendError(f"`{module.__file__}` marks several models: {names}", hint="leave `@windlass.model` on one")
    return found[0] if found else None


class FunctionModel:
    """A marked function or class, and the configuration its annotations tell."""

    def __init__(self, context: LoadContext, target: Callable[..., Any], file: Path) -> None:
        self._context, self._target, self._file = context, target, file
        mark: _Mark = getattr(target, _MARK)
        self._mark = mark
        function = target.__call__ if inspect.isclass(target) else target
        self.config = self._completed(context.config, typing.get_type_hints(function, include_extras=True), function)

    def _completed(self, config: ModelConfig, hints: dict[str, Any], function: Callable[..., Any]) -> ModelConfig:
        full = ModelConfig()
        full.CopyFrom(config)
        full.max_batch_size = full.max_batch_size or self._mark.max_batch_size
        if full.max_batch_size > 1 and not full.WhichOneof("scheduling_choice"):
            full.dynamic_batching.max_queue_delay_microseconds = self._mark.max_queue_delay_us
        arguments = [name for name in inspect.signature(function).parameters if name != "self"]
        if not full.input:
            for name in arguments:
                self._add(full.input, name, hints.get(name), "input")
        elif unknown := [given.name for given in full.input if given.name not in arguments]:
            raise BackendError(f"config.pbtxt has input `{unknown[0]}`, which `{self._file}` does not take")
        if not full.output:
            for name, hint in self._output_hints(hints.get("return")).items():
                self._add(full.output, name, hint, "output")
        return full

    def _output_hints(self, returned: Any) -> dict[str, Any]:
        if self._mark.outputs is not None:
            return self._mark.outputs
        if typing.is_typeddict(returned):
            return typing.get_type_hints(returned, include_extras=True)
        return {"output": returned}

    def _add(self, tensors: Any, name: str, hint: Any, kind: str) -> None:
        types = [extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, TensorType)]
        if not types:
            raise BackendError(
                f"unable to load model '{self._context.model_name}': {kind} `{name}` of `{self._file}` has no type",
                hint=f'annotate it, e.g. `{name}: Tensor["FP32", 16]`, or describe it in config.pbtxt',
            )
        tensors.add(name=name, data_type=BY_WIRE[types[0].data_type].number, dims=types[0].dims)

    def _made(self) -> Callable[..., Any]:
        made: Any = self._target() if inspect.isclass(self._target) else self._target
        return made  # type: ignore[no-any-return]

    def instances(self, config: ModelConfig) -> list["FunctionInstance"]:
        """Make one object of a class for each instance; a function is the same for all."""
        from windlass.backends.cuda import device_count

        made = []
        for place in placements(config, device_count()):
            try:
                function = self._made()
            except Exception as error:
                raise BackendError(
                    f"failed to initialize model '{config.name}': {users_traceback(error, self._file)}"
                ) from error
            made.append(FunctionInstance(place, function, config, self._file))
        return made


class FunctionInstance:
    """One instance: something to call with arrays."""

    per_request = False

    def __init__(self, place: Placement, function: Callable[..., Any], config: ModelConfig, file: Path) -> None:
        self.name, self.kind, self.device = place.name, place.kind, place.device
        self._function = function
        self._file = file
        self._outputs = {output.name: numpy_dtype(BY_NUMBER[output.data_type]) for output in config.output}
        self._only = next(iter(self._outputs)) if len(self._outputs) == 1 else None

    def execute(self, inputs: dict[str, Array]) -> Mapping[str, Array]:
        """Call the function; what it returns is given the declared types."""
        try:
            result = self._function(**inputs)
        except Exception as error:
            raise self._failure(users_traceback(error, self._file)) from error
        if not isinstance(result, dict):
            if self._only is None:
                names = ", ".join(f"`{name}`" for name in self._outputs)
                raise self._failure(f"expected a dictionary with {names}, got `{type(result).__name__}`")
            result = {self._only: result}
        try:
            return {name: self._typed(result[name], dtype) for name, dtype in self._outputs.items()}
        except KeyError as error:
            found = ", ".join(f"`{name}`" for name in result)
            raise self._failure(f"the result has no {error}: it has {found}") from None
        except (TypeError, ValueError) as error:
            raise self._failure(f"the result has an unexpected type: {error}") from error

    def _typed(self, value: Any, dtype: "np.dtype[Any]") -> Array:
        if isinstance(value, np.ndarray) and (value.dtype == dtype or (dtype.kind == "O" and value.dtype.kind in "SU")):
            return value
        return np.asarray(value, dtype=dtype)

    def _failure(self, text: str) -> BackendError:
        return BackendError(f"Failed to process the request(s) for model '{self.name}', message: {text}")

    def close(self) -> None:
        """Let go of the function."""
        self._function = None  # type: ignore[assignment]
