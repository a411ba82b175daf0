"""Instances on devices, and the cores that a process may use."""

import pytest

from windlass.backends.placement import Placement, placements
from windlass.config import normalise, parse_text
from windlass.errors import BackendError


def placed(text: str, gpus: int) -> list[Placement]:
    return placements(normalise(parse_text(text, "config.pbtxt"), "m"), lambda: gpus)


def test_one_instance_on_the_cpu_is_the_default_without_gpus():
    assert placed("", gpus=0) == [Placement("m_0_0", "CPU", 0)]


def test_auto_takes_every_gpu():
    assert placed("", gpus=2) == [Placement("m_0_0", "GPU", 0), Placement("m_0_1", "GPU", 1)]


def test_a_count_is_for_each_device():
    text = 'instance_group { name: "g" count: 2 kind: KIND_GPU gpus: [ 1 ] }'

    assert placed(text, gpus=2) == [Placement("g_0", "GPU", 1), Placement("g_1", "GPU", 1)]


def test_groups_stand_side_by_side():
    text = "instance_group { count: 2 kind: KIND_CPU } instance_group { kind: KIND_MODEL }"

    assert [(p.name, p.kind) for p in placed(text, gpus=0)] == [("m_0_0", "CPU"), ("m_0_1", "CPU"), ("m_1_0", "MODEL")]


def test_gpus_are_not_counted_for_nothing():
    config = normalise(parse_text("instance_group { kind: KIND_CPU }", "config.pbtxt"), "m")

    assert len(placements(config, lambda: pytest.fail("counted"))) == 1


@pytest.mark.parametrize(
    ("text", "gpus", "message"),
    [
        ("kind: KIND_GPU", 0, "instance group m_0 of model m has kind KIND_GPU but no GPUs are available"),
        ("kind: KIND_AUTO gpus: [ 0 ]", 0, "specifies invalid or unsupported gpu id 0"),
        ("kind: KIND_GPU gpus: [ 2 ]", 2, "specifies invalid or unsupported gpu id 2"),
    ],
)
def test_a_gpu_that_is_not_there_is_an_error(text, gpus, message):
    with pytest.raises(BackendError, match=message):
        placed(f"instance_group {{ {text} }}", gpus)
