"""Python models: a ``model.py`` with a ``TritonPythonModel`` class, or with something under ``@windlass.model``.

The server runs every instance in a process of its own, unless the parameter ``isolated`` is false.
"""

from typing import TYPE_CHECKING

from windlass.backends.backend import LoadContext, OpenedModel
from windlass.backends.python import environment
from windlass.backends.python.model_file import ModelFile

if TYPE_CHECKING:
    from windlass.backends.python.function_model import FunctionModel
    from windlass.backends.python.triton_model import TritonModel


def open(context: LoadContext) -> OpenedModel:
    """Open a model: in a process of its own where there can be one."""
    if context.launch is None or not context.switch("isolated", default=True):
        if source := environment.wanted(context):
            raise context.failure(
                f"{source} gives it an environment of its own, which it has in a process of its own only",
                hint="leave out the parameter `isolated`",
            )
        return open_here(context)
    from windlass.backends.isolated import IsolatedModel

    context.model_file("model.py")
    return IsolatedModel(context, context.launch, environment.interpreter(context))


def open_here(context: LoadContext) -> "FunctionModel | TritonModel":
    """Import a model's file in this process, and complete its configuration."""
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
