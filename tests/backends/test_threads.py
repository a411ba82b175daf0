"""Threads that fit: engines get the cores they may use, and no more; what somebody asked for counts."""

import logging
import os

import numpy as np
import pytest

import windlass
from support.models import make_onnx_add_sub, make_openvino_add_sub, make_torchscript_identity
from windlass.backends import LoadContext, find
from windlass.backends.threads import VARIABLES, Threads, asked, fitting, pool, share
from windlass.config import normalise, parse_text

FOUR = "instance_group { count: 4 kind: KIND_CPU } "


def parameter(name: str, value: object) -> str:
    return f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }} '


def loaded(version, backend: str, config: str = "", **settings: str):
    """Load a version, and return its model beside its instances."""
    written = parse_text(f'name: "m" {config}', "config.pbtxt")
    opened = find(backend).open(LoadContext("m", 1, version.model_dir, version.path, written, settings))
    return opened, opened.instances(normalise(opened.config, "m"))


@pytest.fixture
def cores(monkeypatch):
    """A process that may use so many cores, whatever the machine has."""

    def allow(count: int) -> None:
        for backend in ("onnxruntime", "openvino", "pytorch", "isolated"):
            monkeypatch.setattr(f"windlass.backends.{backend}.core_count", lambda: count)

    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return allow


@pytest.mark.parametrize(
    ("cores", "instances", "each", "together"),
    [(8, 1, 8, 8), (8, 2, 4, 7), (8, 3, 2, 6), (8, 16, 1, 1), (1, 4, 1, 1), (1, 0, 1, 1)],
)
def test_cores_are_shared_and_nobody_goes_without(cores, instances, each, together):
    assert share(cores, instances) == each
    assert pool(cores, instances) == together


def test_threads_are_counted_and_told():
    assert str(Threads(1, 1, 1)) == "1 x 1 thread on 1 core"
    assert str(Threads(2, 4, 8)) == "2 x 4 threads on 8 cores"
    together = Threads(2, 7, 8, pooled=True)
    assert (str(together), together.total) == ("2 x 7 threads together on 8 cores", 8)
    assert Threads(4, 4, 8).complaint() == ""
    assert Threads(4, 2, 8, "NUM_THREADS").complaint() == ""
    complaint = "`NUM_THREADS` lets 16 threads compute on 8 cores, which slows all of them down"
    assert fitting(1, ("NUM_THREADS", 4), 4, 8).complaint() == complaint


def test_what_a_configuration_asks_for_is_found():
    assert asked("pytorch", {"NUM_THREADS": "3", "INTRA_OP_THREAD_COUNT": "2"}) == ("INTRA_OP_THREAD_COUNT", 2)
    assert asked("onnxruntime", {"intra_op_thread_count": "0"}) is None
    assert asked("ensemble", {"NUM_THREADS": "3"}) is None


@pytest.mark.parametrize(
    ("config", "threads"),
    [
        ("", Threads(1, 8, 8, pooled=True)),
        (FOUR, Threads(4, 5, 8, pooled=True)),
        ("instance_group { count: 9 kind: KIND_CPU }", Threads(9, 1, 8, pooled=True)),
        (FOUR + parameter("intra_op_thread_count", 8), Threads(4, 8, 8, "intra_op_thread_count", pooled=True)),
    ],
)
def test_onnx_runtime_gets_a_pool_that_fits_its_instances(version, monkeypatch, cores, config, threads):
    import onnxruntime

    made = []
    original = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda p, o, **r: made.append(o) or original(p, o, **r))
    monkeypatch.setattr("windlass.backends.onnxruntime.SMALL_BYTES", 0)
    cores(8)
    make_onnx_add_sub(version.file("model.onnx"))

    opened, instances = loaded(version, "onnxruntime", config)

    assert opened.threads == threads
    assert [options.intra_op_num_threads for options in made] == [threads.each]
    assert len(instances) == threads.instances


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core cannot be taken away")
def test_openvino_divides_the_cores_that_it_may_use(version, cores):
    cores(1)
    make_openvino_add_sub(version.file("model.xml"))
    assert loaded(version, "openvino")[0].threads == Threads(1, 1, 1)
    greedy, _ = loaded(version, "openvino", parameter("INFERENCE_NUM_THREADS", 2) + FOUR)
    assert greedy.threads == Threads(2, 1, 1, "INFERENCE_NUM_THREADS")
    assert greedy.threads.complaint()


@pytest.fixture
def make_identity(make_version):
    """Make versions of a model of PyTorch."""

    def make(name: str):
        version = make_version(name)
        make_torchscript_identity(version.file("model.pt"))
        return version

    return make


TENSORS = 'input { name: "x" data_type: TYPE_FP32 dims: 1 } output { name: "y" data_type: TYPE_FP32 dims: 1 } '


def computed_with(instance) -> int:
    """Return the number of threads that PyTorch uses on this thread, after an instance has computed on it."""
    import torch

    instance.execute({"x": np.zeros(1, np.float32)})
    return torch.get_num_threads()


def test_models_of_pytorch_have_numbers_of_their_own_on_one_thread(make_identity, cores, monkeypatch):
    cores(8)
    monkeypatch.setattr("windlass.backends.pytorch._usual_threads", lambda: 8)
    alone, (first,) = loaded(make_identity("alone"), "pytorch", TENSORS)
    shared, (second, *_) = loaded(make_identity("shared"), "pytorch", TENSORS + FOUR)
    asked, (third,) = loaded(make_identity("asked"), "pytorch", TENSORS + parameter("INTRA_OP_THREAD_COUNT", 3))

    assert [computed_with(instance) for instance in (first, second, third, first)] == [8, 2, 3, 8]
    assert (alone.threads, shared.threads) == (Threads(1, 8, 8), Threads(4, 2, 8))
    assert asked.threads == Threads(1, 3, 8, "INTRA_OP_THREAD_COUNT")


def test_variables_that_a_user_set_win(make_identity, cores, monkeypatch):
    cores(2)
    monkeypatch.setattr("windlass.backends.pytorch._usual_threads", lambda: 6)
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    opened, (instance,) = loaded(make_identity("given"), "pytorch", TENSORS)
    assert opened.threads == Threads(1, 6, 2, "OMP_NUM_THREADS")
    assert computed_with(instance) == 6


VARIABLE_MODEL = """
import os
import windlass
from windlass import Tensor

@windlass.model
def threads(x: Tensor["FP32", 1]) -> Tensor["FP32", 1]:
    return x * 0 + float(os.environ.get("OMP_NUM_THREADS", 0)) * 100 + float(os.environ.get("MKL_NUM_THREADS", 0))
"""


TWO = FOUR.replace("4", "2")


@pytest.mark.parametrize(
    ("config", "given", "expected", "told"),
    [
        (TWO, "", 404, "2 x 4 threads on 8 cores"),
        (parameter("INTRA_OP_THREAD_COUNT", 3), "", 303, "1 x 3 threads on 8 cores"),
        (TWO, "5", 500, "2 x 5 threads on 8 cores"),
    ],
)
def test_processes_of_python_models_are_told(config, given, expected, told, request):
    repository, serve, cores, caplog, monkeypatch = map(
        request.getfixturevalue, ("repository", "serve", "cores", "caplog", "monkeypatch")
    )
    cores(8)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    repository.add("m", VARIABLE_MODEL, f'backend: "python" {config}')
    caplog.set_level(logging.INFO, "windlass")

    with windlass.Client(serve().url()) as client:
        answer = client.infer("m", {"x": np.zeros(1, np.float32)})

    assert next(iter(answer.values())).item() == expected
    assert told in caplog.text
    assert ("`OMP_NUM_THREADS` lets 10 threads compute on 8 cores" in caplog.text) == bool(given)


def test_engines_fit_into_a_real_limit(version, limited_to_one_core):
    make_onnx_add_sub(version.file("model.onnx"))
    make_openvino_add_sub(version.file("model.xml"))
    code = f"""
import windlass.backends.onnxruntime as ort
from pathlib import Path
from windlass.backends import LoadContext, find
from windlass.config import normalise, parse_text
ort.SMALL_BYTES = 0
for name in ("onnxruntime", "openvino"):
    folder = Path({str(version.model_dir)!r})
    context = LoadContext("m", 1, folder, folder / "1", parse_text('name: "m"', "config.pbtxt"))
    model = find(name).open(context)
    model.instances(normalise(model.config, "m"))
    print(model.threads)
"""
    assert limited_to_one_core(code).splitlines() == ["1 x 1 thread on 1 core"] * 2
