"""``TritonPythonModel`` classes: what they are given, what they may return, and how their failures read."""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from support.models import make_python_identity
from windlass.backends import LoadContext, find
from windlass.config import normalise, parse_text
from windlass.errors import BackendError

TENSOR = 'name: "%s" data_type: TYPE_FP32 dims: [ -1 ]'
IDENTITY = f"max_batch_size: 4 input {{ {TENSOR % 'x'} }} output {{ {TENSOR % 'y'} }}"


def model(execute: str, more: str = "") -> str:
    lines = "\n".join(f"        {line}" for line in execute.strip().splitlines())
    head = "import triton_python_backend_utils as pb_utils\n\n\nclass TritonPythonModel:\n"
    return f"{head}{more}\n    def execute(self, requests):\n{lines}\n"


def test_a_class_answers_each_request_of_a_batch(version, make_request):
    make_python_identity(version.file("model.py"))

    (instance,) = version.load("python", "instance_group { kind: KIND_CPU }")
    answers = instance.execute_each([make_request({"INPUT0": np.full((1, 2), n, np.float32)}) for n in range(3)])

    assert instance.per_request
    assert [answer["OUTPUT0"].tolist() for answer in answers] == [[[0, 0]], [[1, 1]], [[2, 2]]]


def test_a_class_completes_its_configuration(version):
    make_python_identity(version.file("model.py"))

    version.load("python", "instance_group { kind: KIND_CPU }")

    assert version.config.max_batch_size == 64
    assert version.config.WhichOneof("scheduling_choice") == "dynamic_batching"
    assert [(given.name, list(given.dims)) for given in version.config.input] == [("INPUT0", [-1])]


def test_initialize_is_told_everything_in_strings(version, make_request):
    version.write(
        model(
            "return [pb_utils.InferenceResponse([pb_utils.Tensor('y', np.array([self.args], dtype=object))])]",
            "    def initialize(self, args):\n        self.args = json.dumps(args)\n",
        ).replace("import triton", "import json\nimport numpy as np\nimport triton", 1)
    )

    (instance,) = version.load("python", IDENTITY + " instance_group { kind: KIND_CPU }")
    (answer,) = instance.execute_each([make_request()])
    told = json.loads(answer["y"][0])

    assert all(isinstance(value, str) for value in told.values())
    assert json.loads(told.pop("model_config"))["max_batch_size"] == 4
    assert told == {
        "model_name": "m",
        "model_version": "1",
        "model_repository": str(version.model_dir),
        "model_instance_name": "m_0_0",
        "model_instance_kind": "CPU",
        "model_instance_device_id": "0",
    }


def test_instances_are_objects_of_their_own_and_say_goodbye(version, make_request):
    version.write(
        model(
            "self.calls = getattr(self, 'calls', 0) + 1\nreturn [self.calls]",
            "    def finalize(self):\n        goodbyes.append(self.calls)\n",
        ).replace("\n\nclass", "\n\ngoodbyes = []\n\n\nclass", 1)
    )
    first, second = version.load("python", IDENTITY + " instance_group { count: 2 kind: KIND_CPU }")
    goodbyes = sys.modules[type(first._model).__module__].goodbyes

    first.execute_each([make_request()])
    first.execute_each([make_request()])
    second.execute_each([make_request()])
    version.close()

    assert goodbyes == [2, 1]


def test_a_goodbye_that_fails_is_written_to_the_log(version, caplog):
    version.write(model("return []", "    def finalize(self):\n        raise OSError('disk gone')\n"))
    version.load("python", IDENTITY + " instance_group { kind: KIND_CPU }")

    version.close()

    assert "instance `m_0_0` failed to finalize: OSError: disk gone" in caplog.text


def test_execute_may_be_a_coroutine(version, make_request):
    version.write(
        model("await asyncio.sleep(0)\nreturn [pb_utils.InferenceResponse([]) for _ in requests]")
        .replace("def execute", "async def execute")
        .replace("import triton", "import asyncio\nimport triton", 1)
    )
    (instance,) = version.load("python", IDENTITY + " instance_group { kind: KIND_CPU }")

    assert instance.execute_each([make_request(), make_request()]) == [{}, {}]
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def failing(version, make_request, execute: str, requests: int = 1) -> str:
    version.write(model(execute))
    (instance,) = version.load("python", IDENTITY + " instance_group { kind: KIND_CPU }")
    with pytest.raises(BackendError) as failure:
        instance.execute_each([make_request() for _ in range(requests)])
    prefix = "Failed to process the request(s) for model 'm_0_0', message: "
    assert failure.value.message.startswith(prefix)
    return failure.value.message.removeprefix(prefix)


def test_an_exception_fails_the_batch_and_shows_the_users_own_frames(version, make_request):
    message = failing(version, make_request, "import json\nreturn json.loads('{')")

    assert message == (
        "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
        f"\n\nAt:\n  {version.file('model.py')}(8): execute\n"
    )


@pytest.mark.parametrize(
    ("execute", "requests", "message"),
    [
        ("return None", 1, "Expected a list in the execute return, found type '<class 'NoneType'>'."),
        (
            "return []",
            2,
            "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
            "InferenceRequest(s) size is:2, and InferenceResponse(s) size is:0",
        ),
    ],
)
def test_a_return_that_breaks_the_contract_fails_the_batch(version, make_request, execute, requests, message):
    assert failing(version, make_request, execute, requests) == message


def test_a_bad_response_fails_its_own_request_only(version, make_request):
    version.write(
        model(
            "error = pb_utils.TritonError('too dark', pb_utils.TritonError.INVALID_ARG)\n"
            "return [pb_utils.InferenceResponse([]), pb_utils.InferenceResponse(error=error), 'text']"
        )
    )
    (instance,) = version.load("python", IDENTITY + " instance_group { kind: KIND_CPU }")

    good, refused, wrong = instance.execute_each([make_request()] * 3)

    assert good == {}
    assert (refused.message, refused.code) == ("too dark", "INVALID_ARG")
    assert wrong.message == (
        "Failed to process the request(s) for model 'm_0_0', message: Expected an 'InferenceResponse' object in the "
        "execute function return list, found type '<class 'str'>'."
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def execute(:\n", "SyntaxError"),
        ("import nowhere\n", "ModuleNotFoundError: No module named 'nowhere'\n\nAt:\n  .*model.py\\(1\\): <module>"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("x = 1\n", "has neither a class `TritonPythonModel` nor anything decorated"),
        ("class TritonPythonModel:\n    pass\n", "Python model .*model.py does not implement `execute` method."),
        (
            model("return []", "    def initialize(self, args):\n        raise ValueError('no weights')\n"),
            "unable to load model 'm': ValueError: no weights\n\nAt:\n  .*model.py\\(6\\): initialize",
        ),
        (
            model("return []", "    @staticmethod\n    def auto_complete_config(config):\n        return 1\n"),
            "auto_complete_config function in model 'm' must return a valid pb.ModelConfig object.",
        ),
        (
            model(
                "return []",
                "    @staticmethod\n    def auto_complete_config(config):\n"
                "        config.add_input({'name': 'x', 'data_type': 'TYPE_INT8', 'dims': [-1]})\n"
                "        return config\n",
            ),
            "configuration expects datatype TYPE_FP32 for input 'x', model provides TYPE_INT8",
        ),
    ],
)
def test_a_model_that_does_not_load_says_why(version, source, message):
    version.write(source)

    with pytest.raises(BackendError, match=message):
        version.load("python", IDENTITY + " instance_group { kind: KIND_CPU }")


def test_two_models_may_each_have_a_neighbour_of_one_name(make_version):
    loaded = []
    for name in ("first", "second"):
        version = make_version(name)
        version.write(model("return [neighbour.NAME]").replace("import triton", "import neighbour\nimport triton", 1))
        version.write(f"NAME = '{name}'\n", "neighbour.py")
        loaded += version.load("python", IDENTITY + " instance_group { kind: KIND_CPU }")

    assert [instance._model.execute([None]) for instance in loaded] == [["first"], ["second"]]


def test_a_model_that_is_gone_leaves_nothing_behind(version):
    make_python_identity(version.file("model.py"))
    (instance,) = version.load("python", "instance_group { kind: KIND_CPU }")
    module = type(instance._model).__module__
    assert module in sys.modules
    assert str(version.path) in sys.path

    version.close()

    assert module not in sys.modules
    assert str(version.path) not in sys.path


def test_a_repository_may_be_named_by_a_relative_path(tmp_path, monkeypatch):
    (tmp_path / "m" / "1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    path = Path("m/1/model.py")
    for answer in ("first", "second"):
        path.write_text(model("return neighbour.NAME").replace("import triton", "import neighbour\nimport triton", 1))
        path.with_name("neighbour.py").write_text(f"NAME = '{answer}'\n")
        context = LoadContext("m", 1, Path("m"), Path("m/1"), parse_text(f'name: "m" {IDENTITY}', ""))
        (instance,) = find("python").open(context).instances(normalise(context.config, "m"))
        assert instance._model.execute([]) == answer
        instance.close()


def test_a_neighbour_is_read_again_at_the_next_load(version, make_request):
    version.write(model("return [neighbour.ANSWER]").replace("import triton", "import neighbour\nimport triton", 1))
    version.write("ANSWER = 1\n", "neighbour.py")
    (before,) = version.load("python", IDENTITY + " instance_group { kind: KIND_CPU }")
    version.write("ANSWER = 22\n", "neighbour.py")
    (after,) = version.load("python", IDENTITY + " instance_group { kind: KIND_CPU }")

    assert before._model.execute([None]) == [1]
    assert after._model.execute([None]) == [22]


def test_a_gpu_that_is_not_there_is_an_error_and_auto_falls_back(version, no_gpus):
    make_python_identity(version.file("model.py"))

    with pytest.raises(BackendError, match="has kind KIND_GPU but no GPUs are available"):
        version.load("python", "instance_group { kind: KIND_GPU }")
    (instance,) = version.load("python")

    assert instance.kind == "CPU"
