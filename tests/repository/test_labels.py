"""Label files."""

import pytest

from windlass.config import parse_text
from windlass.errors import RepositoryError
from windlass.repository import labels


def test_each_line_is_a_label_for_outputs_that_name_a_file(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\n\nwild dog", encoding="utf-8")
    config = parse_text('output { name: "a" label_filename: "labels.txt" } output { name: "b" }', "config.pbtxt")

    assert labels(config, tmp_path) == {"a": ["cat", "", "wild dog"]}


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), (b"\xff", "can't decode")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "labels.txt").write_bytes(content)
    config = parse_text('output { name: "a" label_filename: "labels.txt" }', "config.pbtxt")

    with pytest.raises(RepositoryError, match=f"labels of output 'a' from .*labels.txt: .*{reason}"):
        labels(config, tmp_path)
