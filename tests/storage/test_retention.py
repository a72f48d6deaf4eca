"""How long points are kept is a setting: told once and run on each driver, against expiries that are counted here."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from queue_metrics.config import TimeToLive
from queue_metrics.storage import StorageDriver
from queue_metrics.storage.base import DAY, EXCEPTION, HOUR, MINUTE, QUEUE, RETENTION, SERVER, SERVER_TASK, TASK, retention_of
from queue_metrics.storage.manager import StorageManager
from tests.storage.batches import A, bucket, ones, plain, row, send, series

Open = Callable[..., StorageDriver]

SHORT = TimeToLive(raw=2 * HOUR, aggregated=3 * HOUR, servers=4 * HOUR, hours=DAY, days=2 * DAY)
LONG = TimeToLive(raw=3 * DAY, aggregated=20 * DAY, servers=9 * DAY, hours=30 * DAY, days=200 * DAY)

PLACES = [
    (TASK, MINUTE, "raw"),
    (QUEUE, MINUTE, "aggregated"),
    (TASK, HOUR, "hours"),
    (QUEUE, HOUR, "hours"),
    (EXCEPTION, HOUR, "hours"),
    (TASK, DAY, "days"),
    (QUEUE, DAY, "days"),
    (EXCEPTION, DAY, "days"),
    (SERVER, MINUTE, "servers"),
    (SERVER, HOUR, "hours"),
    (SERVER_TASK, HOUR, "hours"),
    (SERVER, DAY, "days"),
]
LABELS = {TASK: A, QUEUE: A[:2], EXCEPTION: (*A, "E"), SERVER: ("web-1",), SERVER_TASK: ("web-1", *A)}


def seen(driver: StorageDriver, kind: int, step: int) -> list[int]:
    """The buckets of a series that are shown, over all time."""
    one = series(LABELS[kind], kind)
    return [at for at, _ in driver.read_series([one], step, 0, bucket(step) + step)[one]]


def ages(step: int, seconds: int) -> tuple[int, int]:
    """Buckets on both sides of an expiry that is `seconds` behind the end of the step: kept for minutes more, gone for as long."""
    clear = max(step, 2 * MINUTE)  # nothing expires while we look
    now = int(time.time())
    kept, gone = now - seconds - step + clear, now - seconds - step - clear
    return kept - kept % step, gone - gone % step


@pytest.mark.parametrize("ttl", [SHORT, LONG], ids=["shorter", "longer"])
@pytest.mark.parametrize(("kind", "step", "name"), PLACES)
def test_points_are_seen_as_long_as_is_configured(open_driver: Open, kind: int, step: int, name: str, ttl: TimeToLive) -> None:
    driver = open_driver()
    driver.retention = retention_of(ttl)
    kept, gone = ages(step, getattr(ttl, name))
    # Steps may be longer than what lies between both sides: then the older one lies one step further back.
    gone -= step if kept == gone else 0
    send(driver, [row(LABELS[kind], ones(), step, at, kind) for at in (kept, gone, bucket(step))])
    assert seen(driver, kind, step) == sorted({kept, bucket(step)})


def test_every_place_has_its_setting_and_the_defaults_are_those_of_the_design() -> None:
    assert {(kind, step) for kind, step, _ in PLACES} == set(RETENTION)
    assert dict(RETENTION) == {
        (TASK, MINUTE): 6 * 3600,
        (QUEUE, MINUTE): 8 * 86400,
        (SERVER, MINUTE): 7 * 86400,
        **{(kind, 3600): 14 * 86400 for kind in (TASK, QUEUE, EXCEPTION, SERVER, SERVER_TASK)},
        **{(kind, 86400): 400 * 86400 for kind in (TASK, QUEUE, EXCEPTION, SERVER)},
    }


def test_a_sweep_removes_what_a_shorter_time_let_expire_in_small_bites(open_driver: Open) -> None:
    driver = open_driver()
    driver.retention = retention_of(SHORT)
    old = [row(A, ones(), at=bucket(MINUTE, back)) for back in range(130, 330)]  # by default all of these live on
    fresh = [row(A, ones(), at=bucket(MINUTE, back)) for back in range(30)]
    send(driver, [*old, *fresh])
    before, size = seen(driver, TASK, MINUTE), driver.size()
    assert len(before) == 30
    swept = []
    while (count := driver.sweep(60)) > 0:
        swept.append(count)
    assert all(count <= 60 for count in swept)
    by_itself = driver.capabilities()["expires_itself"]
    assert sum(swept) == (0 if by_itself else 200)
    assert seen(driver, TASK, MINUTE) == before
    if driver.capabilities()["name"] == "memory" and not by_itself:
        assert driver.size() < size, "room is given back"


def test_a_changed_setting_holds_for_new_points_and_numbers_go_on_in_old_ones(open_driver: Open) -> None:
    """Processes with other settings write into the same points: each is counted, and none is lost to the other's expiry."""
    short, long = open_driver(), open_driver()
    minutes = [bucket(MINUTE, back) for back in (0, 1, 30)]
    for ttl, driver in ((SHORT, short), (LONG, long), (SHORT, short)):
        driver.retention = retention_of(ttl)
        send(driver, [row(A, ones(), at=at) for at in minutes])
    one = series(A)
    found = long.read_series([one], MINUTE, 0, bucket(MINUTE) + MINUTE)[one]
    assert [(at, plain(value)["counters"][0]) for at, value in found] == [(at, 3) for at in sorted(minutes)]


def test_the_manager_hands_the_setting_to_the_driver_it_has() -> None:
    manager = StorageManager("kept")
    driver = manager.open("memory://kept")
    assert driver.retention is RETENTION
    assert manager.open("memory://kept", ttl=SHORT) is driver
    assert driver.retention[TASK, MINUTE] == SHORT.raw
    assert manager.open("memory://kept") is driver
    assert driver.retention[TASK, MINUTE] == SHORT.raw, "who says nothing changes nothing"
