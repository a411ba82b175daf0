"""Environments of models: what is installed for one, and what none of them has to bring along."""

import os
import sys
import tarfile
import venv
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from windlass.backends import LoadContext
from windlass.backends.python import environment
from windlass.backends.python import open as open_model
from windlass.config import parse_text
from windlass.errors import BackendError

MODEL = """
import tiny
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        said = np.array([[tiny.WORD.encode()]], dtype=object)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", said)]) for _ in requests]
"""
CONFIG = (
    'backend: "python" max_batch_size: 4 input { name: "x" data_type: TYPE_FP32 dims: 1 } '
    'output { name: "y" data_type: TYPE_STRING dims: 1 }'
)
UNPACKED = """

def word():
    from pathlib import Path
    return f"{tiny.WORD} and unpacked: {(Path(tiny.__file__).parents[3] / 'unpacked').exists()}"
"""
PARAMETER = ' parameters { key: "EXECUTION_ENV_PATH" value { string_value: "%s" } }'

PACKED = PARAMETER % "$$TRITON_MODEL_DIRECTORY/packed.tar.gz"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "windlass" / "environments"


@pytest.fixture
def wheel(tmp_path) -> Path:
    """A package of one word."""
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    about = "tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", 'WORD = "installed"\n')
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", f"tiny.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    """An environment with a package of one word."""
    path = tmp_path / "environment"
    venv.create(path, with_pip=False)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (path / "lib" / version / "site-packages" / "tiny.py").write_text('WORD = "packed"\n')
    return path


def context(repository, config: str) -> LoadContext:
    model = repository.add("m", MODEL, CONFIG + config)
    return LoadContext("m", 1, model, model / "1", parse_text(f'name: "m" {CONFIG}{config}', "config.pbtxt"))


def answer(server) -> str:
    import numpy as np

    import windlass

    with windlass.Client(server.url()) as client:
        return str(client.infer("m", {"x": np.zeros((1, 1), np.float32)})["y"][0, 0].decode())


def test_requirements_are_installed_once_and_the_date_tells_of_the_last_time(repository, serve, wheel, cache):
    model = repository.add("m", MODEL, CONFIG)
    (model / "requirements.txt").write_text(f"--no-index\n{wheel}\n")

    first = answer(serve())
    (made,) = cache.glob("*.whole")
    when = (made.with_suffix("") / "pyvenv.cfg").stat().st_mtime_ns
    os.utime(made, (0, 0))
    second = answer(serve())

    assert (first, second) == ("installed", "installed")
    assert list(cache.glob("*.whole")) == [made]
    assert (made.with_suffix("") / "pyvenv.cfg").stat().st_mtime_ns == when
    assert made.stat().st_mtime > 0


def test_an_environment_may_be_a_folder(repository, serve, folder):
    before = sorted(folder.rglob("*"))
    repository.add("m", MODEL, CONFIG + PARAMETER % folder)

    assert answer(serve()) == "packed"
    assert sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts) == before


def test_an_environment_may_be_packed_beside_the_model(repository, serve, folder):
    # As conda-pack does it: what knows its own place is put right by a program in the archive.
    unpack = folder / "bin" / "conda-unpack"
    unpack.write_text("from pathlib import Path\nPath(__file__).parent.with_name('unpacked').touch()\n")
    model = repository.add("m", MODEL.replace("tiny.WORD", "word()") + UNPACKED, CONFIG + PACKED)
    with tarfile.open(model / "packed.tar.gz", "w:gz") as packed:
        packed.add(folder, arcname=".")

    assert answer(serve()) == "packed and unpacked: True"


def test_the_variables_of_an_environment_are_set(repository, serve, folder):
    (folder / "bin" / "activate").write_text('export GDAL_DATA="$HOME of the data"\n')
    repository.add(
        "m", MODEL.replace("tiny.WORD", "__import__('os').environ['GDAL_DATA']"), CONFIG + PARAMETER % folder
    )

    assert answer(serve()).endswith(" of the data")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("/nowhere/x.tar.gz", "there is no `/nowhere/x.tar.gz`"),
        ("$$TRITON_MODEL_DIRECTORY", "is no Python environment: it has no `bin/python`"),
        ("$$TRITON_MODEL_DIRECTORY/1/model.py", "cannot be unpacked: "),
    ],
)
def test_what_is_no_environment_is_refused(repository, where, message):
    with pytest.raises(BackendError, match=message):
        environment.interpreter(context(repository, PARAMETER % where))


def test_requirements_that_cannot_be_installed_say_why(repository, cache, monkeypatch):
    # As in a program that has it: setuptools would warn of that.
    monkeypatch.setitem(sys.modules, "distutils", ModuleType("distutils"))
    given = context(repository, "")
    (given.model_dir / "requirements.txt").write_text("--no-index\nnothing-of-that-name\n")

    with pytest.raises(BackendError, match=r"requirements.txt` cannot be used: .*nothing-of-that-name"):
        environment.interpreter(given)

    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_an_environment_that_fails_is_the_trouble_of_its_model_alone(repository, serve):
    model = repository.add("m", MODEL, CONFIG)
    (model / "requirements.txt").write_text("--no-index\nnothing-of-that-name\n")
    repository.add_identity("sound")

    index = {entry["name"]: entry for entry in serve().index()}

    assert index["sound"]["state"] == "READY"
    assert index["m"]["state"] == "UNAVAILABLE"
    assert "nothing-of-that-name" in index["m"]["reason"]


def test_loads_at_the_same_time_install_once(repository, wheel, cache, caplog):
    given = context(repository, "")
    (given.model_dir / "requirements.txt").write_text(f"--no-index\n{wheel}\n")
    caplog.set_level("INFO", "windlass")

    with ThreadPoolExecutor(3) as threads:
        found = set(threads.map(environment.interpreter, [given] * 3))

    assert len(found) == 1
    assert caplog.text.count("installing `") == 1


def test_a_model_of_the_servers_process_has_the_servers_environment(repository):
    given = context(repository, ' parameters { key: "isolated" value { string_value: "false" } }')
    (given.model_dir / "requirements.txt").write_text("tiny\n")

    with pytest.raises(BackendError, match=r"`requirements.txt` gives it an environment of its own"):
        open_model(given)
    (given.model_dir / "requirements.txt").unlink()
    assert environment.interpreter(given) is None
