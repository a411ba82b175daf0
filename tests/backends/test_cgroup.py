"""What a cgroup allows, of the layouts that machines and containers have, and one real limit where one may be set."""

from pathlib import Path

import pytest

from windlass.backends import cgroup
from windlass.backends.cores import core_count

V2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 24 0:27 {top} /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:10 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 24 0:28 {top} /sys/fs/cgroup/memory rw,nosuid shared:11 - cgroup cgroup rw,memory\n"
)
V1_GROUP = "9:memory:{group}\n4:cpu,cpuacct:{group}\n0::{group}\n"
NO_LIMIT = "9223372036854771712\n"


def machine(path: Path, mounts: str, groups: str, files: dict[str, str]) -> Path:
    for name, text in {"proc/self/mountinfo": mounts, "proc/self/cgroup": groups, **files}.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return path


def test_a_container_of_v2_sees_its_own_group_as_the_top(tmp_path):
    root = machine(
        tmp_path,
        V2,
        "0::/\n",
        {
            "sys/fs/cgroup/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/memory.max": "1073741824\n",
            "sys/fs/cgroup/cpu.stat": "usage_usec 5\nnr_periods 40\nnr_throttled 10\n",
            "sys/fs/cgroup/memory.events": "low 0\noom 2\noom_kill 1\n",
        },
    )
    assert cgroup.cpu_limit(root) == 1.5
    assert cgroup.memory_limit(root) == 1 << 30
    assert cgroup.throttling(root) == (40, 10)
    assert cgroup.memory_kills(root) == 1


def test_the_tightest_limit_on_the_way_to_the_top_counts(tmp_path):
    own = "sys/fs/cgroup/kubepods.slice/pod1"
    files = {
        f"{own}/cpu.max": "max 100000\n",
        f"{own}/memory.max": "2147483648\n",
        "sys/fs/cgroup/kubepods.slice/cpu.max": "400000 100000\n",
        "sys/fs/cgroup/kubepods.slice/memory.max": "max\n",
    }
    root = machine(tmp_path, V2, "0::/kubepods.slice/pod1\n", files)
    assert cgroup.cpu_limit(root) == 4
    assert cgroup.memory_limit(root) == 2 << 30


@pytest.mark.parametrize(
    ("top", "group", "folder"),
    [
        ("/docker/abc", "/docker/abc", ""),
        ("/", "/", ""),
        ("/", "/docker/abc", "docker/abc"),
        ("/", "/of/another/namespace", ""),
        ("/docker/abc", "/../elsewhere", ""),
    ],
)
def test_v1_is_read_inside_and_outside_of_containers(tmp_path, top, group, folder):
    cpu, memory = f"sys/fs/cgroup/cpu,cpuacct/{folder}", f"sys/fs/cgroup/memory/{folder}"
    files = {
        f"{cpu}/cpu.cfs_quota_us": "50000\n",
        f"{cpu}/cpu.cfs_period_us": "100000\n",
        f"{memory}/memory.limit_in_bytes": "536870912\n",
        f"{memory}/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    }
    root = machine(tmp_path, V2 + V1.format(top=top), V1_GROUP.format(group=group), files)
    assert cgroup.cpu_limit(root) == 0.5
    assert cgroup.memory_limit(root) == 512 << 20
    assert cgroup.memory_kills(root) == 3


def test_no_limit_is_told_in_each_layouts_way(tmp_path):
    v1 = {
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT,
    }
    for root in (
        tmp_path / "nothing",
        machine(tmp_path / "v1", V1.format(top="/"), V1_GROUP.format(group="/"), v1),
        machine(tmp_path / "v2", V2, "0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}),
    ):
        assert cgroup.cpu_limit(root) is None
        assert cgroup.memory_limit(root) is None
        assert cgroup.throttling(root) == (0, 0)
        assert cgroup.memory_kills(root) == 0


def test_a_container_may_have_less_than_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    quota = "sys/fs/cgroup/cpu.max"
    for text, cores in (("max 100000", 8), ("250000 100000", 3), ("50000 100000", 1), ("900000 100000", 8)):
        assert core_count(machine(tmp_path, V2, "0::/\n", {quota: text})) == cores


def test_a_real_limit_is_found(limited_to_one_core):
    code = "from windlass.backends import cgroup, cores; print(cgroup.cpu_limit(), cores.core_count())"
    assert limited_to_one_core(code) == "1.0 1"
