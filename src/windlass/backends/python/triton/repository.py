"""Other models of the server: loading, unloading, asking whether they are ready."""

from collections.abc import Mapping

from windlass.backends.host import Host
from windlass.backends.python import home
from windlass.backends.python.triton.error import TritonModelException, explained


def load_model(model_name: str, config: str = "", files: Mapping[str, bytes] | None = None) -> None:
    """Load a model; ``config`` is a configuration in JSON, ``files`` are its files by ``file:<path>``."""
    parameters: dict[str, str | bytes] = dict(files or {})
    if config:
        parameters["config"] = config
    host, name = _here()
    with explained("Failed to load model", name):
        host.load_model(model_name, parameters)


def unload_model(model_name: str, unload_dependents: bool = False) -> None:  # noqa: FBT001, FBT002
    """Unload a model."""
    host, name = _here()
    with explained("Failed to unload model", name):
        host.unload_model(model_name, unload_dependents)


def is_model_ready(model_name: str, model_version: str = "") -> bool:
    """Tell whether a model is ready; without a version, whether any is."""
    host, name = _here()
    with explained("Failed to check model readiness", name):
        return host.is_model_ready(model_name, model_version)


def _here() -> tuple[Host, str]:
    here = home.current()
    if here is None or here.host is None:
        raise TritonModelException("models are loaded and unloaded by the code of a model that is being served")
    return here.host, here.name
