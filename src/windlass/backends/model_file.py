"""Imports a ``model.py`` as a module of its own, and shows the user's part of a traceback."""

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from windlass.backends.backend import LoadContext
from windlass.errors import BackendError


def import_model_file(context: LoadContext, file: Path) -> ModuleType:
    """Import the file under a name that no other model has; its folders are importable from it.

    Raises ``BackendError`` with the user's traceback.
    """
    for folder in (str(context.model_dir), str(context.version_dir)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    from windlass.backends import triton_python_backend_utils

    sys.modules.setdefault("triton_python_backend_utils", triton_python_backend_utils)
    name = f"windlass_model_{context.model_name}_{context.version}_{id(context):x}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise BackendError(f"unable to load model '{context.model_name}': `{file}` is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        raise BackendError(f"unable to load model '{context.model_name}': {users_traceback(error, file)}") from error
    return module


def users_traceback(error: BaseException, file: Path) -> str:
    """Return the exception with the frames from the user's file on: ours would only be in the way."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next((index for index, frame in enumerate(frames) if frame.filename == str(file)), None)
    text = "".join(traceback.format_exception_only(error)).strip()
    if first is None:
        return text
    return f"{text}\n\nAt:\n" + "\n".join(
        f"  {frame.filename}({frame.lineno}): {frame.name}" for frame in reversed(frames[first:])
    )
