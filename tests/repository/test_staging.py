"""A version in the making, and which versions are served."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.config import parse_text
from windlass.errors import RepositoryError
from windlass.repository import choose, scan_model, select
from windlass.repository.serving_policy import switch, with_versions
from windlass.repository.staging import new_version


@pytest.fixture
def model(tmp_path):
    """One version of a model, with comments that are somebody's."""
    folder = tmp_path / "models" / "m"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(b"1")
    (folder / "config.pbtxt").write_text("# ours\nmax_batch_size: 8 # a limit\n")
    return folder


def served(model):
    entry = scan_model(model)
    return select(entry.config, entry.versions)


def test_a_new_version_stands_beside_the_old_and_is_not_served(model):
    with new_version(scan_model(model)) as staged:
        (staged.folder / "model.xml").write_bytes(b"2")
        (staged.folder / "config.pbtxt").write_text('backend: "openvino"\n')
        assert list(scan_model(model).versions) == [1], "nobody sees it yet"

    entry = scan_model(model)
    assert staged.version == 2
    assert list(entry.versions) == [1, 2]
    assert served(model) == (1,)
    assert (model / "config.pbtxt").read_text().startswith("# ours\nmax_batch_size: 8 # a limit\n")
    assert entry.backends == ("onnxruntime", "openvino")


def test_a_switch_serves_it(model):
    with new_version(scan_model(model)) as staged:
        (staged.folder / "model.onnx").write_bytes(b"2")
    switch(scan_model(model), staged.version)
    assert served(model) == (2,)
    assert choose("m", model.parent)[1] == 2
    assert choose("m:1", model.parent)[1] == 1


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_a_version_that_failed(model, failure):
    before = sorted(model.parent.rglob("*"))
    with pytest.raises(failure), new_version(scan_model(model)) as staged:
        (staged.folder / "model.onnx").write_bytes(b"half")
        raise failure
    assert sorted(model.parent.rglob("*")) == before
    assert (model / "config.pbtxt").read_text() == "# ours\nmax_batch_size: 8 # a limit\n"


def test_a_version_that_somebody_else_made_meanwhile_stays(model):
    with pytest.raises(RepositoryError, match="is there already"), new_version(scan_model(model)):
        (model / "2").mkdir()
        (model / "2" / "theirs").touch()
    assert (model / "2" / "theirs").exists()
    assert not [path for path in model.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("text", "message"), [("other", "no model `other`"), ("m:7", "no version `7`"), ("m:x", "no version `x`")]
)
def test_what_is_not_there_is_told_with_what_is(model, text, message):
    with pytest.raises(RepositoryError, match=message) as raised:
        choose(text, model.parent)
    assert raised.value.found in ("m", "version 1")


@given(
    before=st.sampled_from(["", "# version_policy { }\n", 'name: "version_policy {"\n', "input [ { name: 'a' } ]"]),
    policy=st.sampled_from(["", "version_policy { all { } }", "version_policy: <latest < num_versions: 3 > >"]),
    after=st.sampled_from(["", "\nmax_batch_size: 4 # {\n", "\ninstance_group { count: 2 }"]),
    versions=st.sets(st.integers(0, 99), min_size=1),
)
def test_only_the_policy_of_a_text_changes(before, policy, after, versions):
    text = f"{before}{' ' if before and not before.endswith(chr(10)) else ''}{policy}{after}"
    wanted = parse_text(text, "p")
    wanted.version_policy.specific.versions[:] = sorted(versions)

    found = with_versions(text, versions)

    assert parse_text(found, "p") == wanted
    assert before in found
    assert after in found
