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
