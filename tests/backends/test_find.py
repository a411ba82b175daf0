"""How a backend is found by its name."""

from importlib.metadata import EntryPoint

import pytest

from windlass.backends import backend, find
from windlass.errors import BackendError


@pytest.mark.parametrize("name", backend.BUILT_IN)
def test_every_built_in_backend_opens(name):
    assert callable(find(name).open)


def test_another_package_may_offer_one(monkeypatch):
    entry = EntryPoint(name="echo", value="windlass.backends.python", group="windlass.backends")
    monkeypatch.setattr(backend, "entry_points", lambda group, **wanted: [entry] if wanted else [entry])

    assert find("echo").__name__ == "windlass.backends.python"


def test_an_unknown_one_is_an_error_that_names_those_there_are():
    with pytest.raises(BackendError) as failure:
        find("fortran")

    assert failure.value.message.startswith("unable to find backend library for backend 'fortran'")
    assert failure.value.hint == "there are ensemble, onnxruntime, openvino, pytorch, python"


def test_the_package_imports_no_framework():
    import subprocess
    import sys

    code = (
        "import sys, windlass.backends; find = windlass.backends.find\n"
        "[find(name) for name in ('onnxruntime', 'openvino', 'pytorch', 'python')]\n"
        "print({'torch', 'onnxruntime', 'openvino'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
