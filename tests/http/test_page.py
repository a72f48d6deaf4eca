"""The page as text: well-formed, for everybody, and saying what to do next."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from queue_metrics.errors import StoreUnavailable
from queue_metrics.http.html import Html, join, named, prose, tag
from queue_metrics.http.spark import COLUMNS, bars, columns, line, recorded
from queue_metrics.model import TaskHistory
from tests.http.asking import HTML, Flaky, app_of, ask, hostile_fleet, small_fleet


class Structure(HTMLParser):
    """Elements of a document that were opened and not closed, and its tables."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.heads: list[dict[str, str | None]] = []
        self.captions = 0
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "use", "wbr"):
            self.open.append(tag)
        if tag == "th":
            self.heads.append(dict(attrs))
        self.captions += tag == "caption"
        self.ids += [value or "" for key, value in attrs if key == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_document_is_well_formed_and_its_tables_are_for_everybody() -> None:
    page = ask(app_of(hostile_fleet()), "/", HTML)
    structure = Structure()
    structure.feed(page.text)
    assert structure.open == []
    assert structure.captions == 3
    assert {head.get("scope") for head in structure.heads} == {"col", "row"}
    assert len(structure.ids) == len(set(structure.ids))
    assert "<script" not in page.text
    assert "style=" not in re.sub(r"&[^;]*;", "", page.text)


def test_an_empty_store_says_what_to_do_next() -> None:
    page = ask(app_of(), "/", HTML).text
    assert "import queue_metrics as qm" in page
    assert "qm.instrument(app)" in page
    assert "memory://" in page


def test_refresh_and_window_are_kept_in_every_link() -> None:
    page = ask(app_of(small_fleet()), "/?minutes=15&limit=1&refresh=0", HTML).text
    assert "http-equiv" not in page
    assert 'href="/?minutes=60&amp;limit=1&amp;refresh=0"' in page
    assert 'aria-current="page">15 min' in page
    assert "1 of 2" in page
    assert 'href="/?minutes=15&amp;limit=2&amp;refresh=0">Show all 2' in page


def test_only_what_was_built_is_markup() -> None:
    assert tag("b", "<i>", Html("<i></i>"), None, title='"') == '<b title="&quot;">&lt;i&gt;<i></i></b>'
    assert join("a&b", tag("br", None)) == "a&amp;b<br></br>"
    assert "<wbr>" in named("app.tasks.send")
    assert re.sub(r"<[^>]*>", "", named("app.tasks.send")) == "app.tasks.send"
    assert tag("b", "\ud800 \0") == "<b>? \ufffd</b>"


def test_a_sentence_shows_commands_as_code_and_keeps_numbers_with_their_units() -> None:
    assert prose("8.4 % fail: run `queue-metrics doctor` for 3 min 5 s; <b>") == (
        "8.4\u00a0% fail: run <code>queue-metrics doctor</code> for 3\u00a0min 5\u00a0s; &lt;b&gt;"
    )
    assert prose("a lone ` and 5 hours") == "a lone ` and 5 hours"


def test_a_collector_that_is_missed_is_named_once() -> None:
    """As a reason where it costs something, else in the footer; a command as code, without backticks."""
    page = ask(app_of(small_fleet()), "/", HTML).text
    assert page.count("<code>queue-metrics record-trends</code>") == 1
    assert "`" not in page


def test_a_gap_is_a_gap_and_zero_is_zero() -> None:
    drawn = bars([None, 0, 4, 2], [None, 0, 1, 0], "jobs")
    assert re.findall(r'class="(\w+)" d="([^"]+)"', drawn) == [
        ("base", "M0 28.0h8"),
        ("gap", "M0 28.0h2"),
        ("bar", "M5 28.0v-26"),
        ("open", "M7 28.0v-13"),
        ("bad", "M5 28.0v-6.5"),
    ]
    broken = line([1.0, None, 2.0, 4.0], "p95")
    (path,) = re.findall(r'class="line" d="([^"]+)"', broken)
    assert path.count("M") == 2
    assert "h0" in path
    assert "Infinity" not in line([], "nothing") + bars([], [], "nothing")


def test_long_histories_are_joined_without_losing_a_count() -> None:
    values = list(range(361))
    joined = columns(values, sum)
    assert len(joined) <= COLUMNS
    assert sum(value or 0 for value in joined) == sum(values)
    assert columns([None, None, 3] + [1] * 177, sum)[0] == 3


@pytest.mark.parametrize(("known", "shown"), [(2, 6), (6, 6), (40, 40), (60, 60), (0, 60)])
def test_a_fresh_store_does_not_show_an_empty_hour(known: int, shown: int) -> None:
    ended = (None,) * (60 - known) + (1,) * known
    history = TaskHistory(0.0, 60, ended, ended, (None,) * 60)
    assert recorded(history, ended) == ended[60 - shown :]
    assert len(recorded(history, history.runtime_p95_seconds)) == shown


def test_the_style_asks_for_nothing_from_elsewhere() -> None:
    style = (files("queue_metrics.http") / "style.css").read_text()
    assert not re.search(r"url\(|@import|http", style)
    assert "prefers-color-scheme: dark" in style


def test_a_store_that_is_away_still_has_a_page_that_tries_again() -> None:
    driver = Flaky()
    driver.error = StoreUnavailable("secret")
    page = ask(app_of(driver=driver), "/?refresh=9", HTML)
    assert (page.status, page["content-type"]) == (503, "text/html; charset=utf-8")
    assert 'content="9"' in page.text
    assert "secret" not in page.text
