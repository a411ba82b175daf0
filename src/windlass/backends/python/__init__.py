"""Python models: a ``model.py`` with a ``TritonPythonModel`` class, or with something under ``@windlass.model``."""

from windlass.backends.backend import LoadContext, OpenedModel
from windlass.backends.python.model_file import ModelFile


def open(context: LoadContext) -> OpenedModel:
    """Import a model's file and complete its configuration."""
    from windlass.backends.python.function_model import FunctionModel, decorated
    from windlass.backends.python.triton_model import TritonModel

    file = ModelFile(context, context.model_file("model.py"))
    if found := decorated(file.module):
        return FunctionModel(context, found, file)
    if hasattr(file.module, "TritonPythonModel"):
        return TritonModel(context, file.module.TritonPythonModel, file)
    raise context.failure(
        f"`{file.path}` has neither a class `TritonPythonModel` nor anything decorated with `@windlass.model`",
        hint="put `@windlass.model` before a function with typed arguments",
    )
