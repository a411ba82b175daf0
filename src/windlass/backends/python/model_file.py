"""Imports a ``model.py`` as a module of its own, and shows the user's part of a traceback.

The model's folder and the version's are importable, for as long as the model is loaded. Two models may each have a
``preprocessing.py``: what another model, or an earlier load of this one, imported under a name is forgotten before
the file is imported. The place to import a neighbour is therefore the top of the file.
"""

import importlib
import importlib.util
import itertools
import sys
import sysconfig
import threading
import traceback
import weakref
from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

from windlass.backends.backend import LoadContext
from windlass.backends.python import home

_PREFIX = "windlass_model_"
# What models import; the second is where Triton itself keeps the classes.
_NAMES = ("triton_python_backend_utils", "c_python_backend_utils")
# Where processes that a model starts find them.
_IMPORTABLE = str(Path(__file__).with_name("importable"))
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_importing = threading.Lock()
_numbers = itertools.count(1)
# Of every loaded model, the latest first; a folder stands here once for each version that is loaded.
_folders: list[str] = []
# Modules and folders of files that nobody holds any more. The garbage collector may notice that at any time, in the
# midst of a walk through `sys.modules` too, so it only takes a note.
_gone: list[tuple[str, Sequence[str]]] = []


class ModelFile:
    """An imported file. It stays imported until the last reference to this object goes, and ``sweep`` is called."""

    def __init__(self, context: LoadContext, path: Path) -> None:
        self.path = path
        name = f"{_PREFIX}{next(_numbers)}"
        loader = _Loader(name, str(path))
        spec = importlib.util.spec_from_loader(name, loader)
        if spec is None:
            raise context.failure(f"`{path}` is no Python file")
        self.module = importlib.util.module_from_spec(spec)
        self.home = home.settle(context.model_name, str(context.version_dir.absolute()), context.host)
        self.module.__dict__[home.MARK] = self.home
        folders = [str(folder.absolute()) for folder in (context.version_dir, context.model_dir)]
        sweep()
        with _importing:
            _make_importable(folders)
            sys.modules[name] = self.module
            weakref.finalize(self, _gone.append, (name, folders))
            token = home.enter(replace(self.home, executing=False))
            try:
                loader.exec_module(self.module)
            except BaseException as error:  # a model may call sys.exit() as well
                raise context.failure(self.traceback(error)) from error
            finally:
                home.leave(token)

    def traceback(self, error: BaseException) -> str:
        """Return the exception and where in the user's code it came from, the innermost place first."""
        frames = traceback.extract_tb(error.__traceback__)
        first = next((i for i, frame in enumerate(frames) if frame.filename == str(self.path)), len(frames))
        text = f"{type(error).__name__}: {str(error) or '<EMPTY MESSAGE>'}"
        places = [
            f"  {frame.filename}({frame.lineno}): {frame.name}"
            for frame in reversed(frames[first:])
            if not frame.filename.startswith((*_LIBRARIES, "<"))
        ]
        return "\n".join([text, "", "At:", *places, ""]) if places else text


class _Loader(SourceFileLoader):
    """Compiles every time: what Python keeps beside a file is taken for new when both are of one second."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def sweep() -> None:
    """Forget the modules of models that are gone."""
    with _importing:
        while _gone:
            name, folders = _gone.pop()
            sys.modules.pop(name, None)
            for folder in folders:
                _folders.remove(folder)
                if folder in sys.path:
                    sys.path.remove(folder)
            _forget_neighbours([folder for folder in folders if folder not in _folders])


def _make_importable(folders: Sequence[str]) -> None:
    from windlass.backends.python import triton_python_backend_utils

    for name in _NAMES:
        sys.modules.setdefault(name, triton_python_backend_utils)
    if _IMPORTABLE not in sys.path:
        sys.path.append(_IMPORTABLE)
    _forget_neighbours(folders)
    _forget_neighbours(_folders, {path.stem for folder in folders for path in Path(folder).iterdir()})
    _folders[:0] = folders
    sys.path[:0] = folders
    importlib.invalidate_caches()


def _forget_neighbours(folders: Sequence[str], names: Collection[str] = ()) -> None:
    """Forget what was imported from the folders: all of it, or what has one of the names."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        ours = not name.startswith(_PREFIX) and any(file.startswith(f"{folder}/") for folder in folders)
        if ours and (not names or name.partition(".")[0] in names):
            del sys.modules[name]
