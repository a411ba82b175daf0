"""Instances of functions under ``@windlass.model``: arrays become arguments, and a result becomes arrays."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from windlass.backends.backend import Answer, Request
from windlass.backends.placement import Placement
from windlass.backends.python.annotations import Array, Value
from windlass.backends.python.model_file import ModelFile, sweep
from windlass.config import ModelConfig, as_executed
from windlass.config.datatypes import BY_NUMBER, numpy_dtype
from windlass.errors import BackendError

log = logging.getLogger("windlass")


class Contract:
    """What a function takes and what has to come out of it; the same for all instances of a model."""

    def __init__(self, takes: Sequence[Value], config: ModelConfig, file: ModelFile) -> None:
        self.file = file
        self.batched = config.max_batch_size > 0
        self.outputs = {given.name: numpy_dtype(BY_NUMBER[given.data_type]) for given in config.output}
        self.ranks = {given.name: len(given.dims) for given in as_executed(config).output}
        self._readers = {value.name: reader for value in takes if (reader := _reader(value))}

    def arguments(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        """Turn arrays into what the annotations ask for."""
        arguments: dict[str, Any] = dict(inputs)
        for name, reader in self._readers.items():
            if name in arguments:
                arguments[name] = reader(arguments[name])
        return arguments

    def arrays(self, result: Any, batch_dims: int) -> dict[str, Array]:
        """Turn a result into the declared outputs. One element may come without the dimension that holds it."""
        if not isinstance(result, Mapping):
            if len(self.outputs) > 1:
                names = ", ".join(f"`{name}`" for name in self.outputs)
                raise TypeError(f"expected a dictionary with {names}, got `{type(result).__name__}`")
            result = {name: result for name in self.outputs}
        if absent := [name for name in self.outputs if name not in result]:
            found = ", ".join(f"`{name}`" for name in result)
            raise ValueError(f"the result has no `{absent[0]}`: it has {found}")
        return {name: self._array(name, result[name], batch_dims) for name in self.outputs}

    def _array(self, name: str, value: Any, batch_dims: int) -> Array:
        array = _typed(name, value, self.outputs[name])
        return array[..., None] if array.ndim == batch_dims + self.ranks[name] - 1 else array


class FunctionInstance:
    """One instance: something to call."""

    def __init__(self, place: Placement, function: Callable[..., Any], contract: Contract) -> None:
        self.name, self.kind, self.device = place.name, place.kind, place.device
        self._function = function
        self._contract = contract

    def _failure(self, error: Exception) -> BackendError:
        text = self._contract.file.traceback(error)
        return BackendError(f"Failed to process the request(s) for model '{self.name}', message: {text}")

    def close(self) -> None:
        """Let the user's object say goodbye, where it can."""
        try:
            if hasattr(self._function, "close"):
                self._function.close()
        except Exception as error:
            log.error("instance `%s` failed to close: %s", self.name, self._contract.file.traceback(error))
        del self._function, self._contract
        sweep()


class BatchInstance(FunctionInstance):
    """Calls its function once for a joined batch."""

    per_request = False

    def execute(self, inputs: dict[str, Array]) -> Mapping[str, Array]:
        """Call the function; what it returns is given the declared types."""
        contract = self._contract
        try:
            result = self._function(**contract.arguments(inputs))
            return contract.arrays(result, 1 if contract.batched else 0)
        except Exception as error:
            raise self._failure(error) from error


class RowInstance(FunctionInstance):
    """Calls its function for each row. Requests come apart, so that a row that fails takes none with it."""

    per_request = True

    def execute_each(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer each request from its own rows."""
        return [self._answer(request.inputs) for request in requests]

    def _answer(self, inputs: Mapping[str, Array]) -> Mapping[str, Array] | Exception:
        try:
            if not self._contract.batched:
                return self._row(inputs)
            size = min((len(array) for array in inputs.values()), default=1)
            rows = [self._row({name: array[i] for name, array in inputs.items()}) for i in range(size)]
            return {name: np.stack([row[name] for row in rows]) for name in self._contract.outputs}
        except Exception as error:
            return self._failure(error)

    def _row(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._contract.arrays(self._function(**self._contract.arguments(inputs)), 0)


def _reader(value: Value) -> Callable[[Array], Any] | None:
    if value.form == "row":
        return (lambda array: array.item().decode()) if value.element is str else (lambda array: array.item())
    if value.form == "list":
        return _decoded if value.element is str else (lambda array: array.ravel().tolist())
    return None


def _decoded(array: Array) -> list[str]:
    return [element.decode() for element in array.ravel().tolist()]


def _typed(name: str, value: Any, dtype: "np.dtype[Any]") -> Array:
    """Give a result its declared type; raises ``TypeError`` where that would lose what it is."""
    if isinstance(value, np.ndarray) and value.dtype == dtype:
        return value
    if dtype.kind == "O":
        return np.asarray(value, dtype=object)
    found = np.asarray(value)
    numbers = {"i", "u"} >= {found.dtype.kind, dtype.kind} and not isinstance(value, np.ndarray)
    # numpy has no rule for the bfloat16 of another package.
    if numbers or (dtype.kind == "V" and found.dtype.kind == "f"):
        return np.asarray(value, dtype=dtype)
    try:
        return found.astype(dtype, casting="same_kind")
    except TypeError:
        raise TypeError(f"output `{name}`: expected {dtype.name}, got {found.dtype.name}") from None
