"""Who is asked, as it is written on the command line."""

import pytest

from windlass.bench.subject import Doors, Subject, parse_words, split
from windlass.errors import UsageError


def test_models_have_versions_and_shares():
    subjects, doors = parse_words(["resnet:2", "models/bert"], ["a=3,b=0.5", "c:7"])

    assert doors is None
    assert subjects == (
        Subject("resnet", "2"),
        Subject("models/bert"),
        Subject("a", share=3),
        Subject("b", share=0.5),
        Subject("c", "7"),
    )


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        (["http://here:9000"], Doors("http://here:9000", "grpc://here:8001")),
        (["http://here"], Doors("http://here:8000", "grpc://here:8001")),
        (["https://here"], Doors("https://here:443", "grpcs://here:8001")),
        (["grpc://[::1]:9001"], Doors("http://[::1]:8000", "grpc://[::1]:9001")),
        (["grpc://b:1", "http://a:2"], Doors("http://a:2", "grpc://b:1")),
    ],
)
def test_the_door_that_is_not_named_is_at_its_usual_port(urls, expected):
    assert parse_words(urls, [])[1] == expected


@pytest.mark.parametrize(
    ("words", "shares", "message"),
    [
        ([], [], "no model was named"),
        (["resnet:new"], [], "`resnet:new` is no model"),
        ([":2"], [], "`:2` is no model"),
        (["a", "a"], [], "`a` is named twice"),
        ([], ["a=0"], "share over 0, got `a=0`"),
        ([], ["a=much"], "share over 0"),
        ([], ["a=inf"], "share over 0"),
        (["ftp://here"], [], "`ftp://here` is no address"),
        (["http://here:port"], [], "is no address"),
        (["http://:80"], [], "is no address"),
        (["http://a", "http://b"], [], "two http addresses"),
    ],
)
def test_what_makes_no_sense_is_refused(words, shares, message):
    with pytest.raises(UsageError, match=message):
        parse_words(words, shares)


@pytest.mark.parametrize(
    ("total", "shares", "expected"),
    [(4, [1], [4]), (8, [3, 1], [6, 2]), (3, [100, 1, 1], [1, 1, 1]), (10, [1, 1, 1], [4, 3, 3]), (5, [9, 1], [4, 1])],
)
def test_clients_are_shared_out_and_everybody_has_one(total, shares, expected):
    assert split(total, shares) == expected
