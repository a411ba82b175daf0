"""YAML as people write it: comments, quotes where they are needed, and nothing lost."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from windlass.config.yaml_text import parse
from windlass.generate import yaml_text


def test_a_key_that_begins_with_a_hash_is_a_comment():
    service = {"#why": "it's here: for\ntwo reasons", "init": True}

    text = yaml_text({"service": service, "list": [{"#": "first", "a": 1}]})

    assert text.splitlines() == [
        "service:",
        "  # it's here: for",
        "  # two reasons",
        "  init: true",
        "list:",
        "  # first",
        "  - a: 1",
    ]


def test_words_that_older_readers_take_for_something_else_are_quoted():
    assert yaml_text({"cpus": "0.5", "on": "yes", "port": "22:22"}) == "cpus: '0.5'\n'on': 'yes'\nport: '22:22'\n"


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | st.just("\n"), max_size=200)
ODD = st.sampled_from(["yes", "1e3", "0x1", "- a", "a: b", "#", "", "2026-11-21", "~", "y", "N", "1_0", "0o7", "+.5"])
KEYS = st.text("abc/.-1", max_size=9)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
)


@given(TREES)
def test_whatever_is_written_reads_back_as_it_was(tree):
    """By readers of YAML 1.1 and of 1.2."""
    assert yaml.safe_load(yaml_text(tree)) == tree
    assert parse(yaml_text(tree), "here").value == tree


def test_long_texts_are_folded_wherever_they_stand():
    long = "one two three: four " * 20
    tree = {"a": {"b": [{"c": long}, [long, "x"]]}}

    text = yaml_text(tree)

    assert yaml.safe_load(text) == tree
    assert max(map(len, text.splitlines())) < 130
