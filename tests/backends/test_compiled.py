"""Compiled models are kept: quick to find, never trusted blindly, and bounded."""

import logging
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from windlass.backends import LoadContext, find
from windlass.backends.compiled import CompiledCache, name_of, processor
from windlass.backends.digests import Digests
from windlass.backends.filesystem import is_local
from windlass.config import normalise, parse_text

ROWS = np.ones((2, 16), np.float32)


def refuse(*_: object, **__: object) -> str:
    raise AssertionError("it was not to be asked")


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cache" / "compiled"


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_what_is_written_is_read_by_whoever_opens_the_folder(folder):
    CompiledCache(folder).write("openvino-1", b"machine code")
    assert CompiledCache(folder).read("openvino-1") == b"machine code"
    assert CompiledCache(folder).read("openvino-2") is None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "openvino-1").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-1],
        lambda whole: b"",
        lambda whole: b"somebody else's file",
        lambda whole: whole + b"more",
    ],
)
def test_what_is_damaged_is_ignored_and_forgotten(folder, damage, caplog):
    cache = CompiledCache(folder)
    cache.write("openvino-1", b"machine code")
    whole = (folder / "openvino-1").read_bytes()
    (folder / "openvino-1").write_bytes(damage(whole))
    assert cache.read("openvino-1") is None
    assert "is ignored, and made anew" in caplog.text
    assert files(folder) == set()


def test_on_a_file_system_of_a_network_nothing_is_mapped(folder, monkeypatch):
    cache = CompiledCache(folder)
    cache.write("openvino-1", b"machine code")
    monkeypatch.setattr("windlass.backends.compiled.is_local", lambda _: False)
    monkeypatch.setattr("windlass.backends.compiled.mmap.mmap", refuse)
    assert cache.read("openvino-1") == b"machine code"


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:45 / /srv rw - nfs4 server:/srv rw
31 30 0:46 / /srv/fast\\040disk rw - xfs /dev/vdb rw
32 22 0:47 / /cache rw - ext4 /dev/vdc rw
33 32 0:48 / /cache rw - fuse.sshfs server:/cache rw
"""


@pytest.mark.parametrize(
    ("folder", "local"),
    [("/home", True), ("/srv/models", False), ("/srv/fast disk/models", True), ("/srvs", True), ("/cache/x", False)],
)
def test_what_a_folder_lies_on_is_told_by_its_nearest_mount(folder, local):
    assert is_local(Path(folder), MOUNTS) is local
    assert not is_local(Path(folder), "")


def test_what_was_not_used_for_longest_leaves_first(folder):
    cache = CompiledCache(folder, limit_bytes=19_000)
    for age, name in ((300, "a-1"), (200, "b-1"), (100, "c-1")):
        cache.write(name, bytes(900))
        os.utime(folder / name, (1e9 - age, 1e9 - age))
    assert cache.read("a-1") is not None
    cache.write("d-1", bytes(900))
    assert files(folder) == {"a-1", "c-1", "d-1"}
    cache.write("e-1", bytes(20_000))
    assert files(folder) == {"a-1", "c-1", "d-1"}


def test_what_a_killed_process_did_not_finish_is_cleared(folder):
    CompiledCache(folder)
    (folder / ".writing-old").write_bytes(b"half")
    os.utime(folder / ".writing-old", (1e9, 1e9))
    (folder / ".writing-new").write_bytes(b"half")
    CompiledCache(folder)
    assert sorted(path.name for path in folder.glob(".writing-*")) == [".writing-new"]


def test_folders_of_engines_count_too(folder):
    cache = CompiledCache(folder, limit_bytes=3000)
    inside = cache.folder_for("inductor-1")
    (inside / "deep").mkdir()
    (inside / "deep" / "code.so").write_bytes(bytes(2500))
    os.utime(inside, (1e9, 1e9))
    cache.write("openvino-1", bytes(1000))
    assert files(folder) == {"openvino-1"}


def test_a_folder_that_cannot_be_used_is_done_without(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    cache = CompiledCache(tmp_path / "file" / "compiled")
    cache.write("openvino-1", b"machine code")
    assert cache.read("openvino-1") is None
    assert cache.folder_for("inductor-1") is None
    assert "compiled models are not kept in" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_is_not_loaded(folder, caplog):
    cache = CompiledCache(folder)
    cache.write("openvino-1", b"machine code")
    os.chown(folder / "openvino-1", 65534, 65534)
    assert cache.read("openvino-1") is None
    os.chown(folder, 65534, 65534)
    assert CompiledCache(folder).folder_for("inductor-1") is None
    assert caplog.text.count("belongs to somebody else") == 2


def test_processes_may_write_at_the_same_time(folder):
    code = """
import sys
import time
from pathlib import Path
from windlass.backends.compiled import CompiledCache
cache = CompiledCache(Path(sys.argv[1]), limit_bytes=60_000)
for turn in range(40):
    name = f"openvino-{turn % 8}"
    found = cache.read(name)
    assert found is None or found == bytes([turn % 8]) * 10_000, name
    cache.write(name, bytes([turn % 8]) * 10_000)
"""
    command = [sys.executable, "-c", code, str(folder)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert "ignored" not in "".join(said)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 60_000


def test_the_digest_is_that_of_the_models_files(tmp_path):
    model, digests = tmp_path / "model", Digests(tmp_path / "digests")
    model.mkdir()
    (model / "model.onnx").write_bytes(b"graph")
    (model / "weights.bin").write_bytes(b"weights")
    before = digests.of(model)
    (model / "config.pbtxt").write_text("max_batch_size: 8")
    assert digests.of(model) == before
    (model / "weights.bin").write_bytes(b"other weights")
    assert digests.of(model) != before
    (model / "weights.bin").rename(model / "weights.other")
    assert len({name_of("openvino", digests.of(model)), name_of("openvino", before), name_of("x", before)}) == 3


@pytest.fixture
def settled(tmp_path, monkeypatch) -> Path:
    """A model whose files have been left alone for a while."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"weights")
    later = time.time() + 60
    monkeypatch.setattr("windlass.backends.digests.time.time", lambda: later)
    return folder


def test_a_model_is_read_again_only_after_a_change(settled, tmp_path, monkeypatch):
    digests = Digests(tmp_path / "digests")
    before = digests.of(settled)
    with monkeypatch.context() as context:
        context.setattr("windlass.backends.digests.digest", refuse)
        assert Digests(tmp_path / "digests").of(settled) == before
    (settled / "weights.bin").write_bytes(b"Weights")
    os.utime(settled / "weights.bin", (1e9, 1e9))
    changed = digests.of(settled)
    assert changed != before
    (settled / "weights.bin").write_bytes(b"WEIGHTS")
    os.utime(settled / "weights.bin", (1e9, 1e9))
    assert digests.of(settled) not in {before, changed}, "its size and the time of its change are as before"


def test_a_model_that_has_just_been_written_is_not_taken_for_known(settled, tmp_path, monkeypatch):
    monkeypatch.undo()
    digests = Digests(tmp_path / "digests")
    digests.of(settled)
    assert not (tmp_path / "digests").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"cut', "\0"])
def test_digests_that_were_lost_are_taken_anew(settled, tmp_path, text):
    (tmp_path / "digests").write_text(text)
    expected = Digests(tmp_path / "elsewhere").of(settled)
    assert Digests(tmp_path / "digests").of(settled) == expected
    assert expected in (tmp_path / "digests").read_text()
    assert Digests(tmp_path / "no" / "folder").of(settled) == expected


def test_the_kind_of_a_processor_is_not_its_speed_now():
    text = "processor\t: 0\nmodel name\t: Some\ncpu MHz\t\t: {}\nflags\t\t: sse amx_int8\n\nprocessor\t: 1\n"
    assert processor(text.format(1000)) == processor(text.format(3000)) == "model name\t: Some\nflags\t\t: sse amx_int8"
    assert processor()


def make_weighty(path: Path) -> None:
    """Write an IR that is worth keeping: ``y = x * w``, with a weight of more than a mebibyte."""
    import openvino
    from openvino import opset13 as ops

    x = ops.parameter([-1, 16], openvino.Type.f32, name="x")
    y = ops.matmul(x, ops.constant(np.ones((16, 20_000), np.float32)), transpose_a=False, transpose_b=False)
    x.output(0).set_names({"x"})
    y.output(0).set_names({"y"})
    openvino.save_model(openvino.Model([y], [x], "weighty"), path, compress_to_fp16=False)


def computed(version, cache: CompiledCache | None, text: str = "") -> np.ndarray:
    written = parse_text(f'name: "m" {text}', "config.pbtxt")
    context = LoadContext("m", 1, version.model_dir, version.path, written, compiled=cache)
    opened = find("openvino").open(context)
    (instance, *_) = opened.instances(normalise(opened.config, "m"))
    return instance.execute({"x": ROWS})["y"]


@pytest.fixture
def weighty(version):
    make_weighty(version.file("model.xml"))
    return version


def test_openvino_compiles_once_for_several_starts(weighty, folder, caplog):
    caplog.set_level(logging.INFO, "windlass")
    first = computed(weighty, CompiledCache(folder))
    assert "was compiled before" not in caplog.text
    (name,) = files(folder)
    written = (folder / name).stat().st_ino
    again = computed(weighty, CompiledCache(folder))
    assert "model `m`: was compiled before" in caplog.text
    np.testing.assert_array_equal(first, again)
    assert (first.shape, first[0, 0]) == ((2, 20_000), 16)
    assert (folder / name).stat().st_ino == written


def test_what_changes_a_compiled_model_makes_another(weighty, folder):
    two = "instance_group { count: 2 kind: KIND_CPU }"
    computed(weighty, CompiledCache(folder))
    computed(weighty, CompiledCache(folder), two)
    assert len(files(folder)) == 2
    weighty.file("note.txt").write_text("another file of the model")
    computed(weighty, CompiledCache(folder))
    assert len(files(folder)) == 3


def test_a_compiled_model_that_openvino_refuses_is_made_anew(weighty, folder, caplog):
    cache = CompiledCache(folder)
    computed(weighty, cache)
    (name,) = files(folder)
    cache.write(name, b"whole, and no model")
    assert computed(weighty, cache)[0, 0] == 16
    assert "is ignored, and made anew" in caplog.text
    assert (cache.read(name) or b"") != b"whole, and no model"


def test_small_models_and_models_with_a_cache_of_their_own_are_left_alone(weighty, folder, tmp_path, monkeypatch):
    own = f'parameters {{ key: "CACHE_DIR" value {{ string_value: "{tmp_path / "own"}" }} }}'
    computed(weighty, CompiledCache(folder), own)
    assert files(folder) == set()
    monkeypatch.setattr("windlass.backends.openvino.WORTH_KEEPING_BYTES", 1 << 30)
    computed(weighty, CompiledCache(folder))
    computed(weighty, None)
    assert files(folder) == set()


COMPILING = """
import os
import windlass
from windlass import Tensor

# It would call torch.compile.
@windlass.model
def where(x: Tensor["FP32", 1]) -> Tensor["BYTES", 1]:
    return [os.environ.get("TORCHINDUCTOR_CACHE_DIR", "nowhere")]
"""


def test_code_that_compiles_is_told_where(repository, serve, folder, monkeypatch):
    import windlass

    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    repository.add("m", COMPILING)
    ask = {"x": np.zeros(1, np.float32)}
    with windlass.Client(serve(compiled_cache=folder).url()) as client:
        (kept,) = client.infer("m", ask).values()
    place = Path(kept.item().decode())
    assert place.parent == folder / "windlass-compiled"
    assert files(place.parent) == {place.name}


def test_what_others_have_in_the_folder_that_is_named_stays(repository, serve, tmp_path):
    repository.add("m", COMPILING)
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    (folder / "thesis").write_bytes(bytes(2000))

    serve(compiled_cache=folder, compiled_cache_bytes=1000)

    assert (folder / "thesis").stat().st_size == 2000
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
