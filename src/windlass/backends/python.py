"""Python models: a ``model.py`` with a ``TritonPythonModel`` class, or with something marked by ``@windlass.model``."""

from windlass.backends.backend import LoadContext, OpenedModel
from windlass.backends.model_file import import_model_file
from windlass.errors import BackendError


def open(context: LoadContext) -> OpenedModel:  # noqa: A001 - the verb of every backend
    """Import a model's file and complete its configuration."""
    from windlass.backends.function_model import FunctionModel, decorated
    from windlass.backends.triton_model import TritonModel

    file = context.model_file("model.py")
    module = import_model_file(context, file)
    if found := decorated(module):
        return FunctionModel(context, found, file)
    if hasattr(module, "TritonPythonModel"):
        return TritonModel(context, module.TritonPythonModel, file)
    raise BackendError(
        f"unable to load model '{context.model_name}': `{file}` has neither a class `TritonPythonModel` nor anything "
        "decorated with `@windlass.model`",
        hint="put `@windlass.model` before a function with typed arguments",
    )
