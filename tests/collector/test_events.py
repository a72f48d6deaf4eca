"""The log of events: its cap, its cursor, and who listens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import queue_metrics as qm
from queue_metrics.collector import collect
from queue_metrics.insights import connect
from queue_metrics.model import Event
from queue_metrics.model.events import DEPTH, EVENT_KINDS, HEALTH
from queue_metrics.storage import events as stored_events
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.collector import COLLECTOR
from queue_metrics.storage.events import EVENTS, add_events, numbered
from queue_metrics.storage.manager import StorageManager
from tests.collector.stored import mail
from tests.support.fleet import NOW
from tests.support.patience import PATIENCE


def told(driver: StorageDriver, kinds: list[str]) -> None:
    """Events as a pass writes them."""
    with driver.transaction(watch=(COLLECTOR,)) as change:
        last = int(change.get_hash(COLLECTOR).get("events", "0"))
        add_events(change, numbered([Event(0, kind, NOW, {"each": number}) for number, kind in enumerate(kinds)], last))
        change.set_hash(COLLECTOR, {"events": str(last + len(kinds))})


def test_events_are_read_behind_a_cursor_and_stay(driver: StorageDriver) -> None:
    metrics = connect(driver)
    assert metrics.events() == metrics.events(after=0)
    assert (metrics.events().events, metrics.events().cursor) == ((), 0)
    told(driver, [DEPTH] * 5)
    first = metrics.events(limit=3)
    assert ([event.number for event in first.events], first.cursor, first.missed) == ([1, 2, 3], 3, 0)
    second = metrics.events(after=first.cursor)
    assert ([event.number for event in second.events], second.cursor) == ([4, 5], 5)
    assert second.events[0] == Event(4, DEPTH, NOW, {"each": 3})
    assert metrics.events(after=5).events == ()
    assert metrics.events(after=5).cursor == 5
    assert len(metrics.events().events) == 5, "reading takes nothing away"


def test_the_log_has_a_cap_and_says_how_many_were_missed(driver: StorageDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_events, "MOST_EVENTS", 100)
    for _ in range(5):
        told(driver, [DEPTH] * 50)
    assert driver.count_sorted_set(EVENTS) == 100
    answer = connect(driver).events(after=20, limit=10)
    assert ([event.number for event in answer.events], answer.missed) == (list(range(151, 161)), 130)
    assert connect(driver).events(after=150).missed == 0


def test_a_cursor_of_a_store_that_was_emptied_begins_anew(driver: StorageDriver) -> None:
    told(driver, [DEPTH] * 2)
    answer = connect(driver).events(after=700)
    assert ([event.number for event in answer.events], answer.cursor) == ([1, 2], 2)


@pytest.mark.parametrize(("after", "limit"), [(-1, 10), (0, 0)])
def test_a_cursor_and_a_limit_have_bounds(driver: StorageDriver, after: int, limit: int) -> None:
    with pytest.raises(ValueError, match="a cursor is 0 or more"):
        connect(driver).events(after=after, limit=limit)


@pytest.fixture
def ending() -> Iterator[list[Callable[[], None]]]:
    """Whoever listens in a test ends with it."""
    enders: list[Callable[[], None]] = []
    yield enders
    for end in enders:
        end()


def test_who_listens_hears_each_event_of_a_kind_from_then_on(driver: StorageDriver, ending: list[Callable[[], None]]) -> None:
    """The event is one that a pass raised, of a real queue."""
    told(driver, [DEPTH])
    heard: list[Event] = []
    ending.append(qm.on(DEPTH, heard.append, store=driver, poll_seconds=0.05))
    mail(ready=250).store(driver)
    collect(driver, "test", now=NOW)
    told(driver, [HEALTH])
    until(lambda: len(heard) == 1)
    assert heard[0].data["percentage_over"] == 150.0
    ending[0]()
    told(driver, [DEPTH])
    late: list[Event] = []
    ending.append(qm.on(HEALTH, late.append, store=driver, poll_seconds=0.05))
    told(driver, [HEALTH])
    until(lambda: len(late) == 1)
    assert len(heard) == 1


@pytest.mark.parametrize("raised", [ValueError("of the user"), SystemExit(3)], ids=lambda raised: type(raised).__name__)
def test_what_a_callback_raises_is_counted_and_ends_nothing(
    driver: StorageDriver, ending: list[Callable[[], None]], raised: BaseException
) -> None:
    heard: list[int] = []

    def callback(event: Event) -> None:
        heard.append(event.number)
        if event.number == 1:
            raise raised

    listening = qm.on(DEPTH, callback, store=driver, poll_seconds=0.05)
    ending.append(listening)
    told(driver, [DEPTH] * 3)
    until(lambda: heard == [1, 2, 3])
    assert getattr(listening, "errors") == 1  # noqa: B009 - of what is returned for stored kinds


def test_a_store_that_is_away_ends_no_listener(tmp_path: Path, ending: list[Callable[[], None]]) -> None:
    place = tmp_path / "later"
    place.write_text("no directory yet")
    driver = StorageManager().open(f"sqlite:///{place}/m.db")
    heard: list[Event] = []
    ending.append(qm.on(DEPTH, heard.append, store=driver, poll_seconds=0.05))
    place.unlink()
    place.mkdir()
    deadline = time.monotonic() + PATIENCE
    while not heard:
        told(driver, [DEPTH])
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_kind_that_is_none_is_refused_and_so_is_what_cannot_be_called() -> None:
    async def later(_: object) -> None: ...

    with pytest.raises(ValueError, match=f"did you mean '{HEALTH}'"):
        qm.on("health_score_change", print)
    with pytest.raises(TypeError, match="a plain function"):
        qm.on(HEALTH, later)
    assert len(EVENT_KINDS) == 8


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.02)
