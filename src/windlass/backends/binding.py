"""Which argument of a model's ``forward()`` an input goes to, and where its outputs are found: values only.

By name where every input is called like an argument; else ``<anything>__<index>``, where all inputs have an index;
else in the order of the configuration. A single argument that is a dictionary takes the inputs by their names.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.config import ModelConfig, as_executed
from windlass.errors import BackendError

_PLACE = re.compile(r".+__(\d+)$")


@dataclass(frozen=True, slots=True)
class Forward:
    """What ``forward()`` takes: arguments in order, those given by name only, or one dictionary."""

    arguments: tuple[str, ...]
    by_name_only: tuple[str, ...] = ()
    takes_dictionary: bool = False


class Binding:
    """How inputs become arguments, and a result becomes outputs."""

    def __init__(self, config: ModelConfig, forward: Forward) -> None:
        config = as_executed(config)
        names = [given.name for given in config.input]
        self._dictionary = forward.takes_dictionary
        self._positional, self._keywords = ([], []) if self._dictionary else _arguments(names, forward, config)
        outputs = [given.name for given in config.output]
        places = _places(outputs)
        self._outputs = dict(zip(outputs, places or range(len(outputs)), strict=True))

    def call(self, function: Any, inputs: Mapping[str, Any]) -> Any:
        """Call ``function`` with the inputs where they belong."""
        if self._dictionary:
            return function(dict(inputs))
        return function(
            *(inputs[name] for name in self._positional),
            **{name: inputs[name] for name in self._keywords if name in inputs},
        )

    def outputs(self, result: Any) -> dict[str, Any]:
        """Take a result apart; raises ``BackendError`` when it has less than the configuration says."""
        if isinstance(result, Mapping):
            missing = [name for name in self._outputs if name not in result]
            if missing:
                found = ", ".join(f"`{key}`" for key in result)
                raise BackendError(f"the model returned no output `{missing[0]}`: it returned {found}")
            return {name: result[name] for name in self._outputs}
        if not isinstance(result, Sequence) or (result and isinstance(result[0], str)):
            result = (result,)
        if len(result) <= max(self._outputs.values()):
            raise BackendError(
                f"the model returned {len(result)} outputs, the configuration names {', '.join(self._outputs)}"
            )
        return {name: result[place] for name, place in self._outputs.items()}


def _arguments(names: list[str], forward: Forward, config: ModelConfig) -> tuple[list[str], list[str]]:
    known = (*forward.arguments, *forward.by_name_only)
    if set(names) <= set(known):
        positional = [name for name in forward.arguments if name in names]
        # What stands behind a left-out argument can be given by name only.
        gap = next((i for i, name in enumerate(positional) if name != forward.arguments[i]), len(positional))
        optional = {given.name for given in config.input if given.optional}
        gap = min([gap, *(i for i, name in enumerate(positional) if name in optional)])
        return positional[:gap], positional[gap:] + [name for name in forward.by_name_only if name in names]
    places = _places(names)
    if places is None:
        places = list(range(len(names)))
    if sorted(places) != list(range(len(names))) or len(names) > len(forward.arguments):
        raise BackendError(
            f"unable to load model '{config.name}': inputs {', '.join(names)} do not fit forward({', '.join(known)})",
            hint="name inputs like the arguments of forward(), or `<anything>__<index>` with indices from 0",
        )
    return [name for _, name in sorted(zip(places, names, strict=True))], []


def _places(names: Sequence[str]) -> list[int] | None:
    found = [_PLACE.match(name) for name in names]
    return [int(match[1]) for match in found if match] if all(found) else None
