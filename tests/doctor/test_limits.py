"""Judgements about what a process may use, over recorded facts."""

from pathlib import Path

import pytest

from windlass.doctor import Machine
from windlass.doctor.checks import (
    clock,
    disk,
    huge_pages,
    memory,
    open_files,
    ports,
    processor,
    shared_memory,
    threads,
    virtual_memory,
)
from windlass.doctor.machine import Space

GIB = 1 << 30
MEMINFO = """MemTotal:       24611532 kB
MemAvailable:   20480000 kB
HugePages_Total:    1024
HugePages_Free:     1000
SwapTotal:       4194304 kB
SwapFree:        1048576 kB
Hugepagesize:       2048 kB
"""


def root(tmp_path: Path, files: dict[str, str]) -> Machine:
    """A machine with these files."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Machine(root=tmp_path, environment={})


def told(check, facts) -> list[tuple[str, str]]:
    return [(one.severity, one.what) for one in check.judge(facts)]


def cpuinfo(flags: str, key: str = "flags\t\t") -> str:
    return f"processor\t: 0\nmodel name\t: A Processor\n{key}: {flags}\n\nprocessor\t: 1\n{key}: none\n"


@pytest.mark.parametrize(
    ("flags", "severities", "texts"),
    [
        ("sse avx2 avx512f avx512_vnni avx512_bf16 amx_bf16 amx_int8", ["ok"] * 3, ("AVX512F", "AMX", "AMX")),
        ("avx2 avx512f avx512_vnni avx512_bf16", ["ok"] * 3, ("AVX512F", "dot products of bf16", "512 bits")),
        ("avx2 avx_vnni", ["ok", "note", "ok"], ("AVX2", "does not pay", "256 bits")),
        ("avx2", ["ok", "note", "note"], ("AVX2", "does not pay", "hardly pays")),
        ("sse4_2 avx", ["warning", "note", "note"], ("no AVX2", "does not pay", "hardly pays")),
    ],
)
def test_which_precision_pays_is_read_from_the_instructions(flags, severities, texts):
    found = processor.judge(processor.read(cpuinfo(flags)))
    assert [one.severity for one in found] == severities
    for one, text in zip(found, texts, strict=True):
        assert text in one.what


def test_a_processor_of_arm_is_known_by_its_own_words():
    found = processor.judge(processor.read(cpuinfo("fp asimd asimddp sve i8mm bf16", "Features\t")))
    assert [one.severity for one in found] == ["ok"] * 3
    assert "SVE" in found[0].what
    assert told(processor, processor.read("")) == [("note", "the processor's instructions are not known")]


def limits(**changes: object) -> threads.Facts:
    well = {"machine_cores": 64, "allowed_cores": 64, "limit": 2.0, "periods": 0, "throttled": 0}
    return threads.Facts(**{**well, "variables": (), "asked": (), **changes})


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (limits(), [("ok", "2 cores may be used, and engines start so many threads")]),
        (limits(limit=None), [("ok", "64 cores may be used, and engines start so many threads")]),
        (limits(limit=2.5, allowed_cores=1), [("ok", "1 core may be used, and engines start so many threads")]),
        (limits(limit=0.5), [("warning", "there is less than one core: every pause is felt")]),
    ],
)
def test_the_cores_that_may_be_used_are_told(facts, expected):
    assert told(threads, facts) == expected


@pytest.mark.parametrize(
    ("facts", "severity", "what"),
    [
        (limits(periods=100, throttled=50), "warning", "the cgroup is held back"),
        (limits(variables=(("OMP_NUM_THREADS", "64"),)), "error", "`OMP_NUM_THREADS` starts more threads"),
        (limits(variables=(("MKL_NUM_THREADS", "3"),)), "warning", "`MKL_NUM_THREADS` starts more threads"),
        (limits(variables=(("OMP_NUM_THREADS", "4,2"),)), "error", "`OMP_NUM_THREADS` starts more threads"),
        (limits(variables=(("OMP_NUM_THREADS", "all"),)), "warning", "`OMP_NUM_THREADS` is no number"),
        (limits(asked=(threads.Asked("m", "NUM_THREADS", 2, 16),)), "error", "`m` asks for more threads"),
        (limits(asked=(threads.Asked("m", "NUM_THREADS", 1, 3),)), "warning", "`m` asks for more threads"),
    ],
)
def test_more_threads_than_cores_are_told_with_what_to_type(facts, severity, what):
    _, one = threads.judge(facts)
    assert (one.severity, one.what.startswith(what)) == (severity, True)
    assert one.remedy


def test_what_fits_is_no_finding():
    fine = limits(
        periods=100,
        throttled=1,
        variables=(("OMP_NUM_THREADS", "2"),),
        asked=(threads.Asked("m", "intra_op_thread_count", 2, 2),),
    )
    assert len(threads.judge(fine)) == 1


def test_instances_in_the_repository_are_counted(repository):
    text = (
        'backend: "%s" instance_group { count: 4 kind: KIND_CPU } parameters { key: "%s" value { string_value: "2" } }'
    )
    repository.add("onnx", "", text % ("onnxruntime", "intra_op_thread_count"))
    repository.add("vino", "", text % ("openvino", "INFERENCE_NUM_THREADS"))
    repository.add_identity("plain")

    facts = threads.gather(Machine(repository=repository.path, environment={"OMP_NUM_THREADS": "8", "HOME": "/"}))

    assert facts.asked == (
        threads.Asked("onnx", "intra_op_thread_count", 4, 8),
        threads.Asked("vino", "INFERENCE_NUM_THREADS", 4, 2),
    )
    assert facts.variables == (("OMP_NUM_THREADS", "8"),)
    assert facts.cores >= 1


@pytest.mark.parametrize(
    ("facts", "severity"),
    [
        (memory.Facts(24 * GIB, 20 * GIB, None, GIB, 0), "ok"),
        (memory.Facts(24 * GIB, 20 * GIB, 2 * GIB, GIB, 0), "ok"),
        (memory.Facts(24 * GIB, 20 * GIB, GIB, GIB, 0), "warning"),
        (memory.Facts(24 * GIB, 20 * GIB, GIB, 2 * GIB, 0), "error"),
        (memory.Facts(0, 0, None, 0, 0), "note"),
    ],
)
def test_models_are_compared_with_the_memory_there_is(facts, severity):
    assert [one.severity for one in memory.judge(facts)] == [severity]


def test_processes_that_were_killed_for_memory_are_told():
    assert told(memory, memory.Facts(GIB, GIB, None, 0, 3))[1][1].startswith("the kernel killed processes")


def test_memory_is_read_from_the_kernel_and_from_files(tmp_path, repository):
    repository.add("m", "x" * 1000)
    machine = root(tmp_path / "root", {"proc/meminfo": MEMINFO})
    machine.repository = repository.path
    facts = memory.gather(machine)
    assert (facts.machine, facts.models) == (24611532 * 1024, 1000)


def test_virtual_memory_is_read_and_judged(tmp_path):
    machine = root(tmp_path, {"proc/meminfo": MEMINFO, "proc/sys/vm/overcommit_memory": "2\n"})
    facts = virtual_memory.gather(machine)
    assert facts == virtual_memory.Facts("2", 4 * GIB, GIB)
    found = virtual_memory.judge(facts)
    assert [one.severity for one in found] == ["warning", "warning"]
    assert "vm.overcommit_memory=0" in found[0].remedy
    assert found[1].found == "3.0 GiB of 4.0 GiB are used"
    for fine in (virtual_memory.Facts("0", 0, 0), virtual_memory.Facts("1", GIB, GIB)):
        assert [one.severity for one in virtual_memory.judge(fine)] == ["ok", "ok"]


def test_huge_pages_are_read_and_judged(tmp_path):
    setting = "sys/kernel/mm/transparent_hugepage/enabled"
    facts = huge_pages.gather(root(tmp_path, {"proc/meminfo": MEMINFO, setting: "always madvise [never]\n"}))
    assert facts == huge_pages.Facts("never", 1000, 2 << 20)
    assert [one.severity for one in huge_pages.judge(facts)] == ["note", "warning"]
    assert [one.severity for one in huge_pages.judge(huge_pages.Facts("madvise", 0, 2 << 20))] == ["ok"]
    assert [one.severity for one in huge_pages.judge(huge_pages.Facts("", 0, 0))] == ["ok"]


@pytest.mark.parametrize(
    ("space", "severity", "what"),
    [
        (None, "warning", "there is no /dev/shm"),
        (Space(GIB, GIB, None, writable=True), "ok", "large enough"),
        (Space(64 << 20, 60 << 20, None, writable=True), "warning", "small"),
        (Space(64 << 20, 1 << 20, None, writable=True), "error", "full"),
        (Space(GIB, GIB, None, writable=False), "warning", "may not be written"),
    ],
)
def test_shared_memory_is_judged(space, severity, what):
    (one,) = shared_memory.judge(shared_memory.Facts(space))
    assert (one.severity, what in one.what) == (severity, True)


@pytest.mark.parametrize(
    ("space", "severity", "what"),
    [
        (Space(100 * GIB, 50 * GIB, 10**6, writable=True), "ok", "there is room"),
        (Space(100 * GIB, GIB, 10**6, writable=True), "warning", "little room"),
        (Space(100 * GIB, 1 << 20, 10**6, writable=True), "error", "is full"),
        (Space(100 * GIB, 50 * GIB, 3, writable=True), "error", "no room for more files"),
        (Space(100 * GIB, 50 * GIB, None, writable=False), "warning", "may not be written"),
    ],
)
def test_disks_are_judged(space, severity, what):
    (one,) = disk.judge(disk.Facts((disk.Place("caches", "/cache", space, written=True),)))
    assert (one.severity, what in one.what) == (severity, True)
    assert bool(one.remedy) == (severity != "ok")


def test_a_repository_need_not_be_written():
    space = Space(100 * GIB, 50 * GIB, None, writable=False)
    (one,) = disk.judge(disk.Facts((disk.Place("models", "/models", space, written=False),)))
    assert one.severity == "ok"


def test_disks_are_measured_where_folders_will_be(tmp_path):
    machine = Machine(environment={"XDG_CACHE_HOME": str(tmp_path / "not" / "there")}, repository=tmp_path)
    places = disk.gather(machine).places
    assert [place.what for place in places] == ["models", "caches", "temporary files"]
    assert all(0 < place.space.free_bytes <= place.space.size_bytes for place in places)


LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max processes             95957                95957                processes
Max open files            {}                {}               files
"""


@pytest.mark.parametrize(
    ("soft", "hard", "severity"),
    [
        ("65536", "65536", "ok"),
        ("unlimited", "unlimited", "ok"),
        ("1024", "65536", "warning"),
        ("128", "128", "error"),
    ],
)
def test_the_limit_of_open_files_is_read_and_judged(soft, hard, severity):
    (one,) = open_files.judge(open_files.read(LIMITS.format(soft, hard)))
    assert one.severity == severity
    assert bool(one.remedy) == (severity != "ok")


def test_limits_that_are_not_told_are_no_fault():
    assert [one.severity for one in open_files.judge(open_files.read(""))] == ["note"]
    assert [one.severity for one in clock.judge(clock.Facts("", None))] == ["note", "ok"]


@pytest.mark.parametrize(
    ("facts", "severities"),
    [
        (clock.Facts("tsc", synchronised=True), ["ok", "ok"]),
        (clock.Facts("kvm-clock", synchronised=False), ["warning", "ok"]),
        (clock.Facts("hpet", synchronised=True), ["ok", "warning"]),
    ],
)
def test_clocks_are_judged(facts, severities):
    assert [one.severity for one in clock.judge(facts)] == severities


def test_the_kernel_is_asked_for_the_clock(tmp_path):
    source = "sys/devices/system/clocksource/clocksource0/current_clocksource"
    facts = clock.gather(root(tmp_path, {source: "tsc\n"}))
    assert facts.source == "tsc"
    assert facts.synchronised in {True, False, None}


TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000 100 0 0 10 0
   1: 0100007F:1F41 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000 100 0 0 10 0
   2: 00000000:1F42 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 4713 1 0000 100 0 0 10 0
"""


def test_who_has_a_port_is_found(tmp_path):
    machine = root(tmp_path, {"proc/net/tcp": TCP, "proc/77/comm": "tritonserver\n", "proc/78/comm": "other\n"})
    (tmp_path / "proc/77/fd").mkdir()
    (tmp_path / "proc/77/fd/5").symlink_to("socket:[4711]")

    facts = ports.gather(machine)
    found = ports.judge(facts)

    assert facts.taken == (ports.Taken(8000, "tritonserver", "77"), ports.Taken(8002, "", ""))
    assert [one.what for one in found] == ["port 8000 is taken", "port 8002 is taken"]
    assert found[0].found == "`tritonserver` (process 77)"
    assert found[0].remedy == "kill 77   # or serve at another port: --http-port=9000"
    assert found[1].found == "a process of another user"
    assert "--metrics-port=9002" in found[1].remedy


def test_ports_that_are_free_are_fine():
    (one,) = ports.judge(ports.Facts((8000, 8001), ()))
    assert (one.severity, one.what) == ("ok", "the ports 8000, 8001 are free")
