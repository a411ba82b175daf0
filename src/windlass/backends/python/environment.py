"""Environments of models: packages of their own, made when a model is loaded, kept for the next time.

A model brings its environment as the parameter ``EXECUTION_ENV_PATH`` (a folder, or what conda-pack writes), or says
with a ``requirements.txt`` beside its ``config.pbtxt`` what has to be installed. Its process runs there; what is not
there, windlass itself first of all, is taken from the server's own environment.
"""

import fcntl
import hashlib
import logging
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path

import windlass
from windlass.backends.backend import LoadContext

log = logging.getLogger("windlass")

_REQUIRED = (3, 11)
# Found by the interpreter when it starts; behind what is installed in the environment itself.
_LINK = "windlass-server.pth"


def wanted(context: LoadContext) -> str | None:
    """Return where a model says what its environment is; ``None`` for one that lives in the server's."""
    if context.parameter("EXECUTION_ENV_PATH"):
        return "the parameter `EXECUTION_ENV_PATH`"
    return "`requirements.txt`" if _requirements(context).is_file() else None


def interpreter(context: LoadContext) -> str | None:
    """Return the interpreter a model's process runs under, made ready; ``None`` for the server's own.

    Raises ``BackendError`` when there is no such environment, or it cannot be made.
    """
    if given := context.parameter("EXECUTION_ENV_PATH"):
        path = Path(given.replace("$$TRITON_MODEL_DIRECTORY", str(context.model_dir.absolute())))
        folder = path if path.is_dir() else _unpacked(context, path)
        return _above(context, folder)
    if (requirements := _requirements(context)).is_file():
        return _installed(context, requirements)
    return None


def _requirements(context: LoadContext) -> Path:
    return context.model_dir / "requirements.txt"


def _unpacked(context: LoadContext, archive: Path) -> Path:
    """Unpack what conda-pack wrote."""
    if not archive.is_file():
        hint = "name a folder or a .tar.gz; `$$TRITON_MODEL_DIRECTORY` stands for the model's folder"
        raise context.failure(f"`EXECUTION_ENV_PATH`: there is no `{archive}`", hint=hint)
    about = archive.stat()

    def unpack(folder: Path) -> None:
        log.info("model `%s`: unpacking `%s` into `%s`", context.model_name, archive, folder)
        try:
            with tarfile.open(archive) as packed:
                packed.extractall(folder, filter="tar")
        except (OSError, tarfile.TarError) as error:
            raise context.failure(f"`{archive}` cannot be unpacked: {error}") from None
        if (folder / "bin" / "conda-unpack").is_file():
            _run(context, [str(_python(context, folder)), str(folder / "bin" / "conda-unpack")], f"`{archive}`")

    return _made(context, _key(str(archive.absolute()), about.st_size, about.st_mtime_ns), unpack)


def _above(context: LoadContext, folder: Path) -> str:
    """Put an environment above the user's, which stays as it is, so that it finds windlass too."""
    python = _python(context, folder)
    asked = "import sys, sysconfig as c; print(*sys.version_info[:2], c.get_path('purelib'), c.get_path('platlib'))"
    major, minor, *libraries = _run(context, [str(python), "-c", asked], f"`{python}`").split()
    if (int(major), int(minor)) < _REQUIRED:
        needed = ".".join(str(number) for number in _REQUIRED)
        raise context.failure(f"`{python}` is Python {major}.{minor}: windlass needs {needed} or newer")

    def build(above: Path) -> None:
        _run(context, [str(python), "-m", "venv", "--without-pip", "--system-site-packages", str(above)], f"`{python}`")
        _link(context, above, dict.fromkeys(libraries))

    made = _made(context, _key(str(folder.absolute()), python.resolve(), *libraries, *_server_paths()), build)
    return _activated(folder, made, _checked(context, made))


def _activated(folder: Path, above: Path, python: str) -> str:
    """Return what starts the interpreter with the variables that the environment's packages set."""
    script, bash = folder / "bin" / "activate", shutil.which("bash")
    if bash is None or not script.is_file():
        return python
    started = above / "bin" / "activated-python"
    text = f'#!{bash}\nsource {shlex.quote(str(script.absolute()))}\nexec {shlex.quote(python)} "$@"\n'
    if not started.exists() or started.read_text() != text:
        # In one step: another load may be about to start it.
        fresh = started.with_name(f"{started.name}.{os.getpid()}.{threading.get_ident()}")
        fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.replace(started)
    return str(started)


def _installed(context: LoadContext, requirements: Path) -> str:
    """Install the packages a model asks for."""

    def build(folder: Path) -> None:
        log.info("model `%s`: installing `%s` into `%s`", context.model_name, requirements, folder)
        python = str(folder / "bin" / "python")
        # The server's own pip spares a second or ten.
        # Only looked for in folders: setuptools has a finder of its own that meddles with `distutils` on the way.
        own = PathFinder.find_spec("pip") is not None
        pip = [sys.executable, "-m", "pip", "--python", python] if own else [python, "-m", "pip"]
        bare = ["--without-pip"] if own else []
        _run(context, [sys.executable, "-m", "venv", *bare, str(folder)], f"an environment for `{requirements}`")
        install = [*pip, "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements.absolute())]
        _run(context, install, f"`{requirements}`")
        _link(context, folder, ())

    made = _made(context, _key(requirements.read_bytes(), sys.version, sys.base_prefix, *_server_paths()), build)
    return _checked(context, made)


def _link(context: LoadContext, folder: Path, libraries: Sequence[str] | dict[str, None]) -> None:
    """Let an environment find the packages of others behind its own."""
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = _run(context, [str(_python(context, folder)), "-c", asked], f"`{folder}`").strip()
    (Path(own) / _LINK).write_text("".join(f"{path}\n" for path in [*libraries, *_server_paths()]))


def _server_paths() -> list[str]:
    """Return where the server finds windlass, and what windlass needs."""
    own = str(Path(windlass.__file__).absolute().parents[1])
    libraries = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    others = [path for path in sys.path if path in libraries or path.endswith(("site-packages", "dist-packages"))]
    return list(dict.fromkeys([own, *others]))


def _checked(context: LoadContext, folder: Path) -> str:
    python = str(_python(context, folder))
    _run(context, [python, "-c", "import windlass._plane, numpy"], f"the environment `{folder}`")
    return python


def _python(context: LoadContext, folder: Path) -> Path:
    for name in ("python", "python3"):
        if (folder / "bin" / name).exists():
            return folder / "bin" / name
    raise context.failure(f"`{folder}` is no Python environment: it has no `bin/python`")


def _run(context: LoadContext, command: Sequence[str], what: str) -> str:
    # Variables that would lead another interpreter to the packages of this one stay behind.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        reason = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise context.failure(f"{what} cannot be used: {reason}", hint=f"try it: {' '.join(command)}")
    return done.stdout


def _key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _made(context: LoadContext, key: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of that key; makes it where it is not there whole. Others that want it wait."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = Path(home) / "windlass" / "environments"
    folder, whole = root / key, root / f"{key}.whole"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f"{key}.lock"):
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                try:
                    make(folder)
                except BaseException:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
            # Its date tells when the environment was last wanted, to who clears up.
            whole.touch()
    except OSError as error:
        hint = "XDG_CACHE_HOME names another folder for them"
        raise context.failure(f"no environment can be made in `{root}`: {error}", hint=hint) from None
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
