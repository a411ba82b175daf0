"""Python models in processes of their own: what a crash costs, and what it does not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from windlass import Client, ClientError

# Answers with its process' number; ends its process when it is asked for 666.
WHERE = """
import os
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            value = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            if value[0, 0] == 666:
                os._exit(3)
            where = np.full_like(value, os.getpid())
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", where)]))
        return responses
"""

CONFIG = """
backend: "python" max_batch_size: 8
input { name: "INPUT0" data_type: TYPE_INT32 dims: 1 }
output { name: "OUTPUT0" data_type: TYPE_INT32 dims: 1 }
"""


def ask(client: Client, model: str, value: int = 0) -> int:
    return int(client.infer(model, {"INPUT0": np.full((1, 1), value, np.int32)})["OUTPUT0"][0, 0])


def until(holds: Callable[[], bool]) -> None:
    patience = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < patience, "it never happened"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    until(lambda: not Path(f"/proc/{pid}").exists())
    return True


def test_every_instance_has_a_process_and_none_is_the_servers(repository, serve):
    repository.add("one", WHERE, CONFIG)
    repository.add("two", WHERE, CONFIG)

    with Client(serve().url()) as client:
        pids = {ask(client, "one"), ask(client, "two"), os.getpid()}

    assert len(pids) == 3


def test_a_trusted_model_may_stay_in_the_servers_process(repository, serve):
    repository.add("one", WHERE, CONFIG + 'parameters { key: "isolated" value { string_value: "false" } }')

    with Client(serve().url()) as client:
        assert ask(client, "one") == os.getpid()


def test_a_crash_fails_its_own_request_and_the_model_comes_back(repository, serve):
    repository.add("frail", WHERE, CONFIG)
    repository.add("sound", WHERE, CONFIG)

    with Client(serve().url()) as client:
        before, other = ask(client, "frail"), ask(client, "sound")
        with pytest.raises(ClientError, match="Stub process is not healthy.") as failure:
            ask(client, "frail", 666)

        assert failure.value.status == 500
        assert ask(client, "frail") not in {before, other}
        assert ask(client, "sound") == other
        assert client.ready("frail")


def test_a_process_that_is_killed_while_it_is_idle_is_started_again(repository, serve):
    repository.add("frail", WHERE, CONFIG)

    with Client(serve().url()) as client:
        before = ask(client, "frail")
        os.kill(before, signal.SIGKILL)
        assert gone(before)

        assert ask(client, "frail") != before


def test_a_model_that_does_not_come_back_is_not_ready(repository, serve):
    folder = repository.add("frail", WHERE, CONFIG)

    with Client(serve().url()) as client:
        (folder / "1" / "model.py").unlink()
        with pytest.raises(ClientError):
            ask(client, "frail", 666)
        with pytest.raises(ClientError, match="Stub process is not healthy."):
            ask(client, "frail")

        assert not client.ready("frail")
        assert not client.ready()


@pytest.mark.parametrize("isolated", ["true", "false"])
def test_a_model_may_tell_that_it_is_not_ready(repository, serve, tmp_path, isolated):
    mark = tmp_path / "tired"
    check = f"\n    def is_ready(self):\n        return not os.path.exists({str(mark)!r})\n"
    where = f'parameters {{ key: "isolated" value {{ string_value: "{isolated}" }} }}'
    repository.add("moody", WHERE + check, CONFIG + where)
    url = serve().url()

    with Client(url) as client:
        assert client.ready("moody")
        mark.touch()
        until(lambda: not client.ready("moody"))
        answer = httpx.get(f"{url}/v2/models/moody/ready")
        assert answer.status_code == 503
        assert answer.json() == {"error": "Model 'moody_0_0' is not ready (user-defined check failed)."}
        mark.unlink()
        until(lambda: client.ready("moody"))


def test_no_process_outlives_its_server(repository, serve):
    repository.add("one", WHERE, CONFIG)
    server = serve()
    with Client(server.url()) as client:
        pid = ask(client, "one")

    server.stop()

    assert gone(pid)


def test_a_model_says_goodbye_when_it_is_unloaded(repository, serve, tmp_path):
    farewell = tmp_path / "farewell"
    source = WHERE + f"\n    def finalize(self):\n        open({str(farewell)!r}, 'w').write('goodbye')\n"
    repository.add("one", source, CONFIG)
    with Client(serve(control_mode="explicit", models=("one",)).url()) as client:
        client.unload("one")

    assert farewell.read_text() == "goodbye"


@pytest.mark.parametrize("count", [1, 2_000, 200_000, 5_000_000])
def test_tensors_of_any_size_arrive_as_they_were_sent(repository, serve, count):
    repository.add_identity("echo")
    values = np.random.default_rng(7).random((2, count), dtype=np.float32)

    with Client(serve().url()) as client:
        answers = client.infer("echo", {"INPUT0": values})

    assert np.array_equal(answers["OUTPUT0"], values)


def test_what_a_model_prints_and_reads_does_not_disturb_the_conversation(repository, serve):
    talk = "import sys; print('x' * 100_000); assert sys.stdin.read() == ''; responses = []"
    repository.add("chatty", WHERE.replace("responses = []", talk), CONFIG)

    with Client(serve().url()) as client:
        assert ask(client, "chatty") > 0


def test_a_model_that_ends_its_process_while_it_loads_is_reported(repository, serve):
    repository.add("hasty", "import os\nos._exit(4)", CONFIG)

    (entry,) = serve().index()

    assert entry["state"] == "UNAVAILABLE"
    assert "the process of `hasty_0_0` ended while its model was loaded: it exited with 4" in entry["reason"]


def test_the_program_is_nothing_to_start_by_hand():
    command = [sys.executable, "-m", "windlass.serving.worker"]

    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    assert run.returncode == 2
    assert run.stderr == "error: this program is started by a server, not by hand\nhint: windlass serve REPOSITORY\n"
