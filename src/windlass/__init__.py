"""windlass takes trained models from a folder to production."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from windlass.backends.python.function_model import Tensor, model
    from windlass.client import AsyncClient, Client
    from windlass.errors import ClientError, WindlassError
    from windlass.serving.server import Server

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Server",
    "Tensor",
    "WindlassError",
    "__version__",
    "model",
]

_HOMES = {
    "AsyncClient": "windlass.client",
    "Client": "windlass.client",
    "ClientError": "windlass.errors",
    "Server": "windlass.serving.server",
    "Tensor": "windlass.backends.python.function_model",
    "WindlassError": "windlass.errors",
    "model": "windlass.backends.python.function_model",
}


def __getattr__(name: str) -> Any:
    """Import a public name where it is first used: ``import windlass`` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module `windlass` has no attribute `{name}`")
    return getattr(import_module(_HOMES[name]), name)
