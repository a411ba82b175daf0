"""Parameters that models put into requests and responses."""

from collections.abc import Mapping
from typing import Any

from windlass.backends.python.triton.error import TritonModelException

Parameters = Mapping[str, str | int | bool]


def checked(parameters: Any) -> Parameters:
    """Return what was given, if names and values have types that travel."""
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping):
        found = type(parameters).__name__
        raise TritonModelException(f"Expect parameters to be a dictionary, found type '{found}'")
    for name, value in parameters.items():
        if not isinstance(name, str):
            raise TritonModelException(f"Expect parameters keys to have type str, found type {type(name)}")
        if not isinstance(value, bool | int | str):
            raise TritonModelException(f"Expect parameters values to have type bool/int/str, found type {type(value)}")
    return parameters
