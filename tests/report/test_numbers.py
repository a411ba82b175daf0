"""Numbers as people read them."""

import pytest

from windlass.report.numbers import amount, bytes_text, duration


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (float("nan"), "-"),
        (0.0421, "0.042"),
        (3.14159, "3.14"),
        (42.51, "42.5"),
        (318.4, "318"),
        (12480, "12,480"),
    ],
)
def test_three_digits_count(value, text):
    assert amount(value) == text


@pytest.mark.parametrize(
    ("us", "text"),
    [(0, "0"), (float("nan"), "-"), (2.5, "2.50 µs"), (85.4, "85 µs"), (3140, "3.14 ms"), (1_200_000, "1.20 s")],
)
def test_times_have_a_unit_that_fits(us, text):
    assert duration(us) == text


@pytest.mark.parametrize(
    ("size", "text"), [(512, "512 B"), (1536, "1.50 KiB"), (3 << 30, "3 GiB"), (5 << 50, "5,120 TiB")]
)
def test_sizes_have_a_unit_that_fits(size, text):
    assert bytes_text(size) == text
