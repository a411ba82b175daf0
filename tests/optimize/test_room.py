"""Too little memory or disk is told before anything is begun."""

import re

import pytest

from windlass.errors import RoomError
from windlass.optimize.room import available_bytes, require_disk, require_memory

MIB = 1 << 20


def machine(path, available_kib: int):
    (path / "meminfo").write_text(f"MemTotal: 16000000 kB\nMemAvailable: {available_kib} kB\n")
    return path / "meminfo"


def container(path, limit: str, used: int, inactive: int):
    (path / "memory.max").write_text(f"{limit}\n")
    (path / "memory.current").write_text(f"{used}\n")
    (path / "memory.stat").write_text(f"anon {used - inactive}\ninactive_file {inactive}\n")
    return path


def test_memory_is_what_the_machine_has_left(tmp_path):
    assert available_bytes(machine(tmp_path, 2048), tmp_path) == 2 * MIB


def test_a_container_may_have_what_its_limit_leaves_and_files_do_not_count(tmp_path):
    cgroup = container(tmp_path, str(100 * MIB), 80 * MIB, inactive=30 * MIB)
    assert available_bytes(machine(tmp_path, 1 << 20), cgroup) == 50 * MIB


def test_a_container_without_a_limit_has_what_the_machine_has(tmp_path):
    cgroup = container(tmp_path, "max", 80 * MIB, inactive=0)
    assert available_bytes(machine(tmp_path, 2048), cgroup) == 2 * MIB


def test_where_nothing_is_known_nothing_is_refused(tmp_path):
    assert available_bytes(tmp_path / "none", tmp_path / "none") is None


def test_too_much_is_refused_with_what_there_is(tmp_path):
    with pytest.raises(RoomError, match=r"converting needs about \d+\.\d GiB of memory") as raised:
        require_memory(1 << 60, "converting")
    assert re.fullmatch(r"\d+(\.\d+)? \w+ available", raised.value.found)
    with pytest.raises(RoomError, match="converting needs about") as raised:
        require_disk(1 << 60, tmp_path, "converting")
    assert raised.value.found.endswith("free")


def test_what_fits_is_let_through(tmp_path):
    require_memory(1, "converting")
    require_disk(1, tmp_path, "converting")
