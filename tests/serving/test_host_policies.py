"""Host policies: instances stay on the cores that they are kept to, in the server's process and in their own."""

import os

import numpy as np
import pytest

import windlass
from windlass import Client
from windlass.errors import ServerError
from windlass.serving.hosts import host_policies

# Answers with the cores that its thread may use, as a number of bits.
WHERE = """
import os
import threading

import numpy as np
import windlass


@windlass.model
def where(x: np.ndarray) -> np.ndarray:
    if (x < 0).any():
        os._exit(3)
    cores = [os.sched_getaffinity(0)]
    other = threading.Thread(target=lambda: cores.append(os.sched_getaffinity(0)))
    other.start()
    other.join()
    assert cores[0] == cores[1]
    return np.full_like(x, sum(1 << core for core in cores[0]))
"""
CONFIG = """
backend: "python" max_batch_size: 8
input { name: "x" data_type: TYPE_INT64 dims: 1 }
output { name: "y" data_type: TYPE_INT64 dims: 1 }
instance_group { kind: KIND_CPU host_policy: "%s" }
parameters { key: "isolated" value { string_value: "%s" } }
"""
USABLE = sorted(os.sched_getaffinity(0))
LAST = USABLE[-1]


def ask(server: windlass.Server, model: str = "m", value: int = 0) -> set[int]:
    with Client(server.url()) as client:
        bits = int(client.infer(model, {"x": np.full((1, 1), value, np.int64)})["y"][0, 0])
    return {core for core in range(64) if bits >> core & 1}


@pytest.mark.parametrize("isolated", ["true", "false"])
def test_an_instance_stays_on_the_cores_of_its_policy(repository, serve, isolated):
    repository.add("m", WHERE, CONFIG % ("mine", isolated))
    repository.add("free", WHERE, CONFIG % ("", isolated))

    server = serve(host_policies=(f"mine,cpu-cores={LAST}-{LAST}",))

    # Often enough for a quick model to be executed by whoever has it.
    assert [ask(server) for _ in range(50)] == [{LAST}] * 50
    assert ask(server, "free") == set(USABLE)


def test_all_instances_without_a_policy_of_their_own_share_that_of_their_device(repository, serve):
    repository.add("m", WHERE, CONFIG % ("", "true"))

    assert ask(serve(host_policies=(f"cpu,cpu-cores={LAST}",))) == {LAST}


def test_a_process_that_is_started_again_is_kept_where_it_was(repository, serve):
    repository.add("m", WHERE, CONFIG % ("mine", "true"))
    server = serve(host_policies=(f"mine,cpu-cores={LAST}",))

    with pytest.raises(windlass.ClientError):
        ask(server, value=-1)

    assert ask(server) == {LAST}


def test_the_cores_of_a_node_are_those_that_the_kernel_names(tmp_path):
    (tmp_path / "node0").mkdir()
    (tmp_path / "node0" / "cpulist").write_text(f"{LAST}\n")

    assert host_policies(["cpu,numa-node=0"], tmp_path) == {"cpu": {LAST}}
    with pytest.raises(ServerError, match="host policy `cpu,numa-node=7`: there is no node `7`, there are: 0"):
        host_policies(["cpu,numa-node=7"], tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cpu", "expected `<policy>,<setting>=<value>`"),
        ("cpu,cpu-cores", "expected `<policy>,<setting>=<value>`"),
        (",cpu-cores=0", "expected `<policy>,<setting>=<value>`"),
        ("cpu,cores=0", "expected `cpu-cores` or `numa-node`, got `cores`"),
        ("cpu,cpu-cores=3-0", "expected cores such as `0-3` or `0,2`, got `3-0`"),
        ("cpu,cpu-cores=many", "expected cores such as `0-3` or `0,2`, got `many`"),
        ("cpu,cpu-cores=0-9999", "9999 cannot be used here, but: "),
    ],
)
def test_what_cannot_be_kept_is_refused_at_the_start(repository, text, message):
    with pytest.raises(ServerError, match=message) as refusal:
        windlass.Server(repository.path, http_port=0, host_policies=(text,)).start()
    assert refusal.value.message.startswith(f"host policy `{text}`: ")
