"""How much load, as it is written on the command line."""

import pytest

from windlass.bench.levels import parse_levels
from windlass.errors import UsageError


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("concurrency", "1,4, 16", [1, 4, 16]),
        ("concurrency", "1:64", [1, 2, 4, 8, 16, 32, 64]),
        ("concurrency", "3:20", [3, 6, 12, 20]),
        ("concurrency", "10:50:20,64", [10, 30, 50, 64]),
        ("concurrency", "8:8", [8]),
        ("concurrency", "4,4", [4]),
        ("rate", "0.5,100", [0.5, 100]),
        ("rate", "1e3:4e3", [1000, 2000, 4000]),
    ],
)
def test_levels_are_numbers_and_ranges(kind, text, expected):
    assert [level.value for level in parse_levels(kind, text)] == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("concurrency", "0"),
        ("concurrency", "-1"),
        ("concurrency", "1.5"),
        ("concurrency", "many"),
        ("concurrency", ""),
        ("concurrency", "8:2"),
        ("concurrency", "1:2:3:4"),
        ("concurrency", "1:8:0"),
        ("rate", "0"),
        ("rate", "nan"),
        ("rate", "inf"),
    ],
)
def test_what_is_no_load_is_refused(kind, text):
    with pytest.raises(UsageError, match=f"option `--{kind}`: expected .* over 0"):
        parse_levels(kind, text)


def test_a_range_of_more_levels_than_anybody_waits_for_is_refused():
    with pytest.raises(UsageError, match="1000 levels"):
        parse_levels("concurrency", "1:1000:1")
