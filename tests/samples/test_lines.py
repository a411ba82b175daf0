"""Samples from text, one a line."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from windlass.config import parse_text
from windlass.errors import UsageError
from windlass.samples import read

TEXTS = 'name: "m" max_batch_size: 8 input { name: "text" data_type: TYPE_STRING dims: [ 1 ] }'
ONE = 'name: "m" max_batch_size: 8 input { name: "x" data_type: TYPE_FP32 dims: [ 2 ] }'
TWO = """
name: "m" max_batch_size: 8
input { name: "ids" data_type: TYPE_INT64 dims: [ -1 ] }
input { name: "text" data_type: TYPE_STRING dims: [ 2 ] }
"""


def read_text(folder, content, model=ONE, suffix=".jsonl", limit=None):
    file = folder / f"data{suffix}"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(file, parse_text(model, "config.pbtxt"), limit=limit)


def fails(folder, content, *said, model=ONE, suffix=".jsonl"):
    with pytest.raises(UsageError) as caught:
        read_text(folder, content, model, suffix)
    told = f"{caught.value.where}: {caught.value.message} | {caught.value.found} | {caught.value.hint}"
    for words in said:
        assert words in told, told


def test_a_line_is_a_sample_by_the_names_of_its_inputs(tmp_path):
    lines = '{"ids": [1, 2], "text": ["a", "b"], "label": 3}\n\n{"text": ["c", "\\u0000"], "label": 4, "ids": [5]}'
    samples = read_text(tmp_path, lines, TWO)
    assert [row["ids"].tolist() for row in samples.rows] == [[1, 2], [5]]
    assert [row["text"].tolist() for row in samples.rows] == [[b"a", b"b"], [b"c", b"\0"]]
    assert samples.labels.tolist() == [3, 4]
    assert samples.origins == (f"{tmp_path}/data.jsonl:1", f"{tmp_path}/data.jsonl:3")
    assert len(read_text(tmp_path, lines, TWO, limit=1)) == 1


def test_the_one_input_needs_no_name(tmp_path):
    samples = read_text(tmp_path, "\ufeff[1, 2]\r\n[3, 4.5]\r\n")
    assert [row["x"].tolist() for row in samples.rows] == [[1, 2], [3, 4.5]]


def test_names_of_classes_are_labels(tmp_path):
    samples = read_text(tmp_path, '{"x": [1, 2], "label": "cat"}\n{"x": [1, 2], "label": "dog"}')
    assert samples.labels.tolist() == ["cat", "dog"]


def test_a_line_may_be_a_whole_request(tmp_path):
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}
    body = {"id": "1", "inputs": [tensor], "outputs": [{"name": "y"}], "label": [0, 1]}
    samples = read_text(tmp_path, json.dumps(body))
    assert [row["x"].tolist() for row in samples.rows] == [[1, 2], [3, 4]]
    assert samples.labels.tolist() == [0, 1]
    assert samples.origins[1].endswith("data.jsonl:1[1]")
    whole = read_text(
        tmp_path, json.dumps(body), ONE.replace("max_batch_size: 8", "").replace("dims: [ 2 ]", "dims: [ -1, 2 ]")
    )
    assert [row["x"].tolist() for row in whole.rows] == [[[1, 2], [3, 4]]]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{'x': 1}", "the line is no JSON: Expecting property name"),
        ('{"x": [1, 2]', "the line is no JSON"),
        ("[" * 100_000, "the line is nested too deeply"),
        ("\udcff".encode(errors="surrogateescape"), "the line is no JSON: 'utf-8' codec can't decode"),
        ('{"y": [1, 2]}', "there is no input `x` | `y`"),
        ('{"x": [1, 2], "lable": 3}', "`lable` is no input of `m`"),
        ('{"x": [1, 2, 3]}', "expected FP32 [2] for each sample | shape [3]"),
        ('{"x": [[1, 2]]}', "give each sample by itself, without a batch axis"),
        ('{"x": []}', "expected FP32 [2] for each sample | shape [0]"),
        ('{"x": [[1], [2, 3]]}', "lists of different lengths"),
        ('{"x": [1, null]}', "of none (null)"),
        ('{"x": null}', "of none (null)"),
        ('{"x": {"a": 1}}', "of none (null)"),
        ('{"x": ["1", "2"]}', "values of text"),
        ('{"x": [true, false]}', "values of bool"),
        ('{"x": [1, NaN]}', "input `x` has NaN at [1]"),
        ('{"x": [1, 1e39]}', "1e+39, which does not fit"),
        ('{"x": [1, 2], "label": [1]}\n{"x": [1, 2], "label": "a"}', "the labels are not of one kind"),
        ('{"inputs": [{"name": "x", "datatype": "INT8", "shape": [1, 2], "data": [1, 2]}]}', "datatype INT8"),
        ('{"inputs": [{"name": "x", "shape": [1, 3], "data": [1, 2]}]}', "2 values for shape [1, 3]"),
        ('{"inputs": [{"name": "x", "shape": 2, "data": [1, 2]}]}', "2 values for shape 2"),
        ('{"inputs": [{"name": "x", "shape": [1, 2]}]}', "input `x` has no `data`"),
        ('{"inputs": [{"name": "x", "data": [[1, 2], [3, 4]]}], "label": 1}', "1 labels for 2 samples"),
        ('{"inputs": [{"name": "x", "data": []}]}', "differ in their batch"),
    ],
)
def test_what_is_no_sample_is_told_with_its_line(tmp_path, line, said):
    good = b'{"x": [1, 2], "label": 1}\n' if b"label" in (line if isinstance(line, bytes) else line.encode()) else b""
    content = good + (line if isinstance(line, bytes) else line.encode())
    where = "data.jsonl:" if "kind" in said else f"data.jsonl:{2 if good else 1}: "
    fails(tmp_path, content, "" if "kind" in said else where, said)


def test_texts_among_numbers_and_halves_of_characters_are_told(tmp_path):
    fails(tmp_path, '{"ids": [1], "text": ["a", 1]}', "1 among the texts", model=TWO)
    fails(tmp_path, '{"ids": [1], "text": ["a", ["b"]]}', "lists of different lengths", model=TWO)
    fails(tmp_path, '{"ids": [1], "text": ["a", "\\ud800"]}', "a string that is no text", model=TWO)
    fails(tmp_path, '{"ids": [1.5], "text": ["a", "b"]}', "values of float64", model=TWO)
    fails(tmp_path, '{"ids": [18446744073709551616], "text": ["a", "b"]}', "input `ids`", model=TWO)
    fails(tmp_path, "[1]", "takes several inputs", model=TWO)


def test_labels_are_for_all_or_none(tmp_path):
    fails(tmp_path, '{"x": [1, 2], "label": 1}\n{"x": [1, 2]}', "data.jsonl:2: there is no label")
    fails(tmp_path, '{"x": [1, 2]}\n{"x": [1, 2], "label": 1}', "data.jsonl:2: there is a label")


def test_an_empty_file_is_told(tmp_path):
    fails(tmp_path, "\n \n", "holds no samples", "`x` (FP32 [2])")


def test_a_text_is_a_line(tmp_path):
    samples = read_text(tmp_path, "one\r\n\n two, three \nüber", TEXTS, ".txt")
    assert [row["text"].tolist() for row in samples.rows] == [[b"one"], [b" two, three "], ["über".encode()]]
    assert samples.origins[1].endswith("data.txt:3")
    assert len(read_text(tmp_path, "a\nb\nc", TEXTS, ".txt", limit=2)) == 2


def test_texts_are_for_strings_and_in_utf8(tmp_path):
    fails(tmp_path, "one", "expected FP32 [2] | texts | tokenize", suffix=".txt")
    fails(tmp_path, "one", "takes several inputs", model=TWO, suffix=".txt")
    fails(tmp_path, b"one\n\xff\xfe", "data.txt:2: the line is not UTF-8", model=TEXTS, suffix=".txt")
    fails(tmp_path, "one", "expected BYTES [2]", model=TEXTS.replace("1 ]", "2 ]"), suffix=".txt")


def test_a_line_without_end_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("windlass.samples.lines._LONGEST_BYTES", 1 << 20)
    fails(tmp_path, "x" * ((1 << 20) + 2), "data.txt:1: the line is longer than 1 MiB", model=TEXTS, suffix=".txt")


SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1)


@given(st.lists(st.tuples(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), WORDS, WORDS), min_size=1))
@SHARED
def test_json_lines_come_back_as_they_were(tmp_path, rows):
    lines = [json.dumps({"ids": ids, "text": [one, two]}) for ids, one, two in rows]
    read_back = read_text(tmp_path, "\n".join(lines), TWO).rows
    assert [row["ids"].tolist() for row in read_back] == [ids for ids, _, _ in rows]
    assert [row["text"].tolist() for row in read_back] == [[one.encode(), two.encode()] for _, one, two in rows]


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=2), min_size=1))
@SHARED
def test_floats_come_back_as_they_were(tmp_path, rows):
    read_back = read_text(tmp_path, "\n".join(map(json.dumps, rows))).rows
    assert np.array_equal([row["x"] for row in read_back], np.array(rows, np.float32))


@given(st.lists(WORDS.filter(lambda text: text.strip() and not text.startswith("\ufeff")), min_size=1))
@SHARED
def test_texts_come_back_as_they_were(tmp_path, texts):
    read_back = read_text(tmp_path, "\n".join(texts), TEXTS, ".txt").rows
    assert [row["text"].item().decode() for row in read_back] == texts


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "label", "inputs", "name"]), inner)
    ),
)


@given(JSON.map(json.dumps).map(str.encode) | st.binary())
@example(b'{"inputs": [{"name": "x", "data": 1}]}')
@example(b'{"inputs": [{"name": ["x"], "data": 1}]}')
@example(b'{"x": [1, 2], "label": {"x": 1}}')
@example(b'{"x": [1, 2], "label": 123456789012345678901234567890}')
@settings(parent=SHARED, max_examples=300)
def test_no_line_does_worse_than_being_told_what_is_wrong_with_it(tmp_path, line):
    try:
        samples = read_text(tmp_path, line)
    except UsageError as error:
        assert "data.jsonl" in str(error.where)
    else:
        assert all(row["x"].shape == (2,) for row in samples.rows)
