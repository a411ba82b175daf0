"""``@windlass.model``: a typed function, or a class that can be called, becomes a model.

A ``model.py`` is complete with this, and needs no ``config.pbtxt``:

    import windlass
    from windlass import Tensor

    @windlass.model(max_batch_size=64)
    def double(x: Tensor["FP32", 16]) -> Tensor["FP32", 16]:
        return x * 2

The inputs are the arguments; ``annotations`` says which annotations there are. The result is one output called
``output``, or a dictionary, annotated with one: ``-> {"sum": Tensor["FP32", 16], "size": float}``, or with a
``TypedDict``. An argument without such an annotation is an array whose type and shape stand in ``config.pbtxt``. An
argument with a default may be left out of a request.

With ``max_batch_size`` requests are batched: an array has one dimension more than its annotation, in front, and the
result has as many rows. A function that takes a plain ``str`` or ``float`` is called row by row, and sees no batch:

    @windlass.model(max_batch_size=8)
    def shout(text: str, times: int = 1) -> str:
        return text.upper() + "!" * times

A generator streams: each value it yields is an answer of its own, sent at once. Its model is decoupled.

    @windlass.model
    def count(to: int) -> Iterator[int]:
        yield from range(to)

An instance runs one generator at a time; those of an ``async def`` run beside each other. A generator whose client
went away is closed at its next ``yield``, so that ``finally`` is the place to clean up.

An ``async def`` that returns is awaited: it may use what is asynchronous, one call of an instance at a time.

A class is made once for each instance when the model is loaded, the place to read weights; its ``__call__`` takes
the requests, and its ``close()``, if there is one, is called at the end:

    @windlass.model
    class Embedding:
        def __init__(self):
            self.table = np.load(Path(__file__).with_name("table.npy"))

        def __call__(self, ids: Tensor["INT64", -1]) -> Tensor["FP32", -1, 128]:
            return self.table[ids]
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar, cast, overload

from windlass.backends import cuda
from windlass.backends.backend import Instance, LoadContext
from windlass.backends.placement import Placement, placements
from windlass.backends.python.annotations import Tensor, Value, arguments, results
from windlass.backends.python.coroutines import Awaited
from windlass.backends.python.function_instance import BatchInstance, Contract, RowInstance
from windlass.backends.python.model_file import ModelFile
from windlass.backends.python.stream_instance import ConcurrentStreamInstance, StreamInstance
from windlass.config import ModelConfig, as_executed
from windlass.config.datatypes import BY_WIRE
from windlass.errors import BackendError

__all__ = ["FunctionModel", "Tensor", "decorated", "model"]

_MARK = "__windlass_model__"

_T = TypeVar("_T", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Mark:
    max_batch_size: int
    max_queue_delay_us: int
    preferred_batch_sizes: tuple[int, ...]


@overload
def model(target: _T) -> _T: ...


@overload
def model(
    *, max_batch_size: int = 0, max_queue_delay_us: int = 0, preferred_batch_sizes: Sequence[int] = ()
) -> Callable[[_T], _T]: ...


def model(
    target: Callable[..., Any] | None = None,
    *,
    max_batch_size: int = 0,
    max_queue_delay_us: int = 0,
    preferred_batch_sizes: Sequence[int] = (),
) -> Any:
    """Mark the function or class of a ``model.py`` that is served; see the module's documentation.

    What stands in ``config.pbtxt`` goes before what stands here.
    """
    mark = _Mark(max_batch_size, max_queue_delay_us, tuple(preferred_batch_sizes))

    def decorate(chosen: Callable[..., Any]) -> Callable[..., Any]:
        setattr(chosen, _MARK, mark)
        return chosen

    return decorate if target is None else decorate(target)


def decorated(module: ModuleType) -> Callable[..., Any] | None:
    """Return what a module marks as its model; raises ``BackendError`` when it marks several."""
    marked = {id(value): value for value in vars(module).values() if callable(value) and hasattr(value, _MARK)}
    own = [value for value in marked.values() if value.__module__ == module.__name__]
    found = own or list(marked.values())
    if len(found) > 1:
        names = ", ".join(f"`{value.__name__}`" for value in found)
        message = f"`{module.__file__}` marks several models: {names}"
        raise BackendError(message, hint="leave `@windlass.model` on one")
    return found[0] if found else None


class FunctionModel:
    """A marked function or class, and the configuration its annotations tell."""

    def __init__(self, context: LoadContext, target: Callable[..., Any], file: ModelFile) -> None:
        self._context, self._target, self._file = context, target, file
        self._mark: _Mark = getattr(target, _MARK)
        function: Callable[..., Any] = target
        if inspect.isclass(target):
            function = target.__call__
        self._streams = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
        self._concurrent = inspect.isasyncgenfunction(function)
        self._awaited = inspect.iscoroutinefunction(function)
        try:
            self._takes, self._returns = arguments(function), results(function)
        except Exception as error:  # annotations are expressions of the user's
            raise context.failure(file.traceback(error)) from error
        self.config = self._completed(context.config)

    def _completed(self, config: ModelConfig) -> ModelConfig:
        full = ModelConfig()
        full.CopyFrom(config)
        full.max_batch_size = full.max_batch_size or self._mark.max_batch_size
        if self._streams:
            full.model_transaction_policy.decoupled = True
        elif full.max_batch_size > 1 and not full.WhichOneof("scheduling_choice"):
            full.dynamic_batching.max_queue_delay_microseconds = self._mark.max_queue_delay_us
            full.dynamic_batching.preferred_batch_size.extend(self._mark.preferred_batch_sizes)
        names = {value.name for value in self._takes}
        if unknown := [given.name for given in as_executed(full).input if given.name not in names]:
            raise self._context.failure(
                f"config.pbtxt has input `{unknown[0]}`, which `{self._file.path}` does not take"
            )
        if not full.input:
            for value in self._takes:
                added = self._add(full.input, value, "input", full.max_batch_size)
                added.optional = value.optional
        if not full.output:
            for value in self._returns:
                self._add(full.output, value, "output", full.max_batch_size)
        return full

    def _add(self, tensors: Any, value: Value, kind: str, max_batch_size: int) -> Any:
        if value.data_type is None:
            raise self._context.failure(
                f"{kind} `{value.name}` of `{self._file.path}` has no type",
                hint='annotate it, e.g. with `Tensor["FP32", 16]`, or describe it in config.pbtxt',
            )
        # The list of a batch has one value for each row; that of one row, any number.
        dims = value.dims or ((1,) if max_batch_size > 0 and not self._by_row else (-1,))
        return tensors.add(name=value.name, data_type=BY_WIRE[value.data_type].number, dims=dims)

    @property
    def _by_row(self) -> bool:
        return any(value.form == "row" for value in self._takes)

    def instances(self, config: ModelConfig, only: int | None = None) -> Sequence[Instance]:
        """Make one object of a class for each instance, or for one of them; a function is the same for all."""
        contract = Contract(self._takes, config, self._file)
        return [self._instance(place, contract) for place in placements(config, cuda.device_count, only)]

    def _instance(self, place: Placement, contract: Contract) -> Instance:
        if self._streams:
            stream = ConcurrentStreamInstance if self._concurrent else StreamInstance
            return stream(place, self._function(), contract, by_row=self._by_row)
        kind = RowInstance if self._by_row else BatchInstance
        function = self._function()
        return kind(place, Awaited(function, place.name) if self._awaited else function, contract)

    def _function(self) -> Callable[..., Any]:
        if not inspect.isclass(self._target):
            return self._target
        try:
            return cast(Callable[..., Any], self._target())
        except Exception as error:
            raise self._context.failure(self._file.traceback(error)) from error
