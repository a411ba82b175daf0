"""What is told of a measurement: the table, JSON and the page, from fixed values."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support import measurement as fixed
from windlass.bench.levels import Level
from windlass.bench.outcome import Latencies
from windlass.bench.report import html
from windlass.bench.table import columns, rows

GOLDEN = Path(__file__).parent / "golden"
VOID = {"meta", "br", "link"}


@pytest.mark.parametrize("name", ["closed_loop", "open_loop"])
def test_the_page_is_as_reviewed(name, update_golden):
    text, file = html(getattr(fixed, name)()), GOLDEN / f"{name}.html"

    if update_golden:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), "look at it and run pytest --update-golden"


class Page(HTMLParser):
    """What is open, what is named, and what leads elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag


@pytest.mark.parametrize("name", ["closed_loop", "open_loop"])
def test_the_page_is_whole_needs_nothing_and_names_what_it_draws(name):
    page = Page(html(getattr(fixed, name)()))

    assert page.open == [] and len(page.ids) == len(set(page.ids))
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not [one for one in page.attributes if one[1] in ("src", "href") and not one[2].startswith("#")]
    for _, attribute, value in page.attributes:
        if attribute in ("aria-labelledby", "aria-describedby"):
            assert set(value.split()) <= set(page.ids)
    drawn = [value for tag, attribute, value in page.attributes if tag == "svg" and attribute == "role"]
    assert drawn == ["img"] * 4 and page.tags.count("desc") == 4


def test_what_is_told_is_escaped():
    text = html(fixed.result(fixed.point(Level("concurrency", 1), fixed.part("<b>&", fixed.heard(10, 1000)))))

    assert "<b>" not in text and "&lt;b&gt;&amp;" in text


def test_the_page_of_nothing_but_failures_says_so():
    told = fixed.heard(0, 1, failures={"connection refused": 9})
    failed = replace(told, requests=0, latencies=Latencies())
    result = fixed.result(fixed.point(Level("concurrency", 1), fixed.Part("resnet", failed, None)))

    assert result.all_failed and result.best is None
    assert "resnet: no request was answered." in html(result)
    assert "100.00% of the requests failed: 9 x connection refused" in html(result)


def test_the_knee_is_the_highest_load_within_the_limit():
    result = fixed.closed_loop()

    assert result.best.level.value == 32
    assert result.verdict().startswith(
        "resnet: 2,060 requests a second at concurrency 32, the most with p99 within 50 ms"
    )
    assert fixed.result(*result.points).best.level.value == 16
    assert (
        fixed.result(*result.points, limit_us=1.0).verdict() == "resnet: nothing was served well with p99 within 1 µs."
    )


def test_notes_name_what_spoils_figures():
    closed, opened = fixed.closed_loop().notes(), fixed.open_loop().notes()

    assert closed == [
        "concurrency 64: did not settle in 3 windows; the figures are those of the last three",
        "concurrency 64: the load generator was busy for 0.97 cores of 1: it may have been the limit, not the server",
    ]
    assert opened == [
        "400 requests/s: 4.65% of the requests failed: 41 x status 503 (the queue is full)",
        "400 requests/s: the server answered 280 a second, 12 were not sent",
    ]


def test_every_row_has_every_column_and_models_stand_below_their_level():
    result = fixed.open_loop()
    told = list(rows(result))

    assert {len(row.cells) for row in told} == {len(columns(result))}
    assert [(row.cells[0], row.part, row.best) for row in told[3:6]] == [
        ("200", False, True),
        ("resnet", True, False),
        ("bert:2", True, False),
    ]
    assert dict(zip(columns(result), told[0].cells, strict=True))["rows/s"] == "400"
    # Without a server on this machine nothing is said of its cost.
    points = [replace(point, cost=None) for point in result.points]
    assert not {"memory", "CPU"} & set(columns(fixed.result(*points)))


def test_json_has_plain_values():
    told = json.loads(json.dumps(fixed.closed_loop().as_dict(), allow_nan=False))

    assert told["best"] == {"concurrency": 32} and told["machine"]["cores"] == 8
    point = told["points"][5]
    assert point["concurrency"] == 32 and point["rate"] == 2060 and point["settled"]
    assert list(point["latency_us"]) == ["mean", "p50", "p90", "p95", "p99", "p99.9", "max"]
    assert point["models"][0]["server"]["batch"] == 15.9
    assert point["server"]["memory_bytes"] == 812 << 20 and point["server"]["memory_kind"] == "PSS"
    assert re.fullmatch(r"windlass bench .*", told["command"])
