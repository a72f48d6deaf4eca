"""Nobody is called stale or lost because the store, or the collector, was away: passes, readers and commands wait for its beat."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from queue_metrics.collector import Ages, Collector, collect
from queue_metrics.collector.tidying import remove_silent, silent_workers
from queue_metrics.http import asgi_app
from queue_metrics.insights import Metrics, connect
from queue_metrics.model import Status
from queue_metrics.storage.base import Beat, StorageDriver
from queue_metrics.storage.collector import COLLECTOR, CollectorState, forgotten_seconds, state_of, write_state
from queue_metrics.storage.events import EVENTS, events_of
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.spools import back_since, spool_beat, worker_beats
from tests.collector.stored import crew, mail
from tests.http.asking import ask
from tests.support.fleet import NOW
from tests.support.patience import PATIENCE
from tests.support.servers import RedisServer

FORGOTTEN = forgotten_seconds(300.0)
IMPATIENT = Ages(0.05, 0.1)
"""A heartbeat that is older than a tenth of a second is of one that is lost; `now` of a pass or reader is another clock."""


@pytest.fixture(params=["sqlite", "redis"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorageDriver]:
    """An empty store with a queue and a worker that was heard of more than a tenth of a second ago."""
    if request.param == "sqlite":
        opened = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    else:
        opened = StorageManager(f"away{time.monotonic_ns()}").open(str(request.getfixturevalue("redis_url")))
    mail().store(opened)
    crew(opened, NOW, web=(0.0, 0.0))
    until(lambda: min(beat.age for beat in opened.read_heartbeats()) > IMPATIENT.lost_seconds)
    yield opened
    opened.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.02)


def settled(driver: StorageDriver, last_pass: float) -> None:
    """Passes without a gap for an hour, until then."""
    write_state(driver, CollectorState(last_pass, last_pass - 3600, "test", 0))


def told(driver: StorageDriver) -> set[str]:
    return {event.kind for event in events_of(driver.get_sorted_set_by_rank(EVENTS)) if event.kind.startswith("worker_")}


@pytest.mark.parametrize(("later", "kinds"), [(60, {"worker_lost"}), (90, {"worker_lost"}), (91, set()), (120, set()), (3600, set())])
def test_a_pass_after_one_that_is_missing_calls_nobody_lost(driver: StorageDriver, later: int, kinds: set[str]) -> None:
    """Cron misses one when the store is away for a minute."""
    settled(driver, NOW)
    assert collect(driver, "test", now=NOW + later, ages=IMPATIENT).done
    assert told(driver) == kinds


@pytest.mark.parametrize(
    ("ago", "state", "status"),
    [
        (60.0, "lost", Status.CRITICAL),
        (100.0, "idle", Status.WARNING),
        (600.0, "idle", Status.WARNING),
        (FORGOTTEN + 1, "lost", Status.CRITICAL),
        (None, "lost", Status.CRITICAL),
    ],
)
def test_readers_wait_as_long_as_the_next_pass_is_missing(driver: StorageDriver, ago: float | None, state: str, status: Status) -> None:
    if ago is not None:
        settled(driver, NOW - ago)
    metrics = Metrics(driver, now=lambda: NOW, stale_seconds=IMPATIENT.stale_seconds, lost_seconds=IMPATIENT.lost_seconds)
    (worker,) = metrics.workers()
    assert (worker.state, metrics.health().status) == (state, status)


@pytest.mark.parametrize(("ago", "state"), [(1200.0, "idle"), (7200.0, "idle"), (7300.0, "stale")])
def test_who_is_lost_late_is_waited_for_as_long_as_heartbeats_live(driver: StorageDriver, ago: float, state: str) -> None:
    """With `lost_seconds` of an hour they live for two, so a store that was away for 20 minutes comes back with all of them."""
    settled(driver, NOW - ago)
    metrics = Metrics(driver, now=lambda: NOW, stale_seconds=0.05, lost_seconds=3600)
    assert metrics.workers()[0].state == state
    settled(driver, time.time() - ago)
    found = 0 if state == "idle" else 1
    assert len(silent_workers(driver, 0.1, 3600.0)) == found
    assert len(remove_silent(driver, 0.1, 3600.0, dry_run=True)) == found


@pytest.mark.parametrize(
    ("answered", "returned", "found"),
    [(0.0, True, 0), (59.0, True, 0), (62.0, True, 1), (0.0, False, 1)],
    ids=["now", "by then", "since", "not"],
)
def test_where_nobody_collects_a_store_that_is_back_is_known_by_its_drainers(
    driver: StorageDriver, answered: float, returned: bool, found: int
) -> None:
    driver.heartbeat_many([spool_beat("ab" * 16, {}, (answered, returned))], 600.0)
    metrics = connect(driver, stale_seconds=1.0, lost_seconds=2.0)
    until(lambda: min(beat.age for beat in worker_beats(driver.read_heartbeats())) > 1.0)
    driver.heartbeat_many([spool_beat("ab" * 16, {}, (answered, returned))], 600.0)
    assert [each.state for each in metrics.workers()] == [("stale" if found else "idle")]
    assert len(silent_workers(driver, 1.0, 300.0)) == found


def test_a_store_that_started_between_two_passes_leaves_time_to_beat(tmp_path: Path) -> None:
    """No pass is missing, and no drainer is back yet: the store itself tells that who is silent could not beat."""
    with RedisServer(tmp_path) as server:
        driver = StorageManager().open(server.url)
        mail().store(driver)
        crew(driver, NOW, web=(0.0, 0.0))
        settled(driver, NOW)
        until(lambda: min(beat.age for beat in worker_beats(driver.read_heartbeats())) > 1.0)
        metrics = connect(driver, now=lambda: NOW + 59, stale_seconds=1.0, lost_seconds=300.0)
        assert [each.state for each in metrics.workers()] == ["stale"], "it was up all the time"
        server.stop()
        time.sleep(2.1)  # a server counts whole seconds
        server.start()
        assert ([each.state for each in metrics.workers()], metrics.overview().workers.stale) == (["idle"], 0)
        assert silent_workers(driver, 1.0, 300.0) == []
        assert collect(driver, "test", now=NOW + 60, ages=Ages(1.0, 300.0)).done
        assert told(driver) == set()
        since = state_of(driver.get_hash(COLLECTOR)).settled_since
        assert since is not None
        assert since > NOW, "who reads later waits as long"
        driver.close()


def test_who_has_beaten_since_the_start_of_the_store_is_judged_by_age() -> None:
    beats = [Beat("web:100:77", b"", 9.0), Beat("spool:goodbye", b"1", 1e6)]
    assert back_since(beats, 10.0, NOW, 60.0) is None
    assert back_since([*beats, Beat("web:101:77", b"", 10.5)], 10.0, NOW, 60.0) == NOW - 10.0
    assert back_since([*beats, Beat("web:101:77", b"", 10.5)], None, NOW, 60.0) is None


def test_the_first_pass_ever_calls_nobody_lost_and_a_later_one_does(driver: StorageDriver) -> None:
    for later, kinds in ((0, set()), (60, set()), (120, {"worker_lost"})):
        assert collect(driver, "test", now=NOW + later, ages=IMPATIENT).done
        assert told(driver) == kinds


def test_readers_wait_on_until_passes_have_settled(driver: StorageDriver) -> None:
    settled(driver, NOW - 600)
    states = []
    for minute in range(3):
        assert collect(driver, "test", now=NOW + 65 * minute, ages=IMPATIENT).done
        metrics = Metrics(driver, now=lambda: NOW + 65 * minute + 1, stale_seconds=0.05, lost_seconds=0.1)  # noqa: B023  asked at once
        states.append(metrics.workers()[0].state)
    assert states == ["idle", "lost", "lost"]


@pytest.mark.parametrize(("ago", "found"), [(0.0, 1), (200.0, 0), (FORGOTTEN + 1, 1), (None, 1)])
def test_what_is_detected_and_removed_by_hand_waits_as_readers_do(driver: StorageDriver, ago: float | None, found: int) -> None:
    if ago is not None:
        settled(driver, time.time() - ago)
    ids = ["web:100:77"] * found
    assert [each.id for each in silent_workers(driver, 0.1, 0.1)] == ids
    assert [each.id for each in remove_silent(driver, 0.1, 0.1)] == ids
    until(lambda: len(connect(driver).workers()) == 1 - found)


@pytest.mark.parametrize(("ago", "found"), [(0.0, 1), (200.0, 0)])
def test_what_the_original_detects_waits_as_well(driver: StorageDriver, ago: float, found: int) -> None:
    settled(driver, NOW - ago)
    until(lambda: min(beat.age for beat in driver.read_heartbeats()) > 1)
    app = asgi_app(driver, now=lambda: NOW)
    answer = ask(app, "/workers/detect-stale?threshold=1", method="POST").json()["data"]
    assert answer == {"threshold_seconds": 1, "workers_marked_crashed": found}


def test_a_store_that_is_away_between_two_passes_leaves_no_gap_and_nobody_is_stale_all_the_same(tmp_path: Path) -> None:
    clock = [NOW]
    with RedisServer(tmp_path) as server:
        driver = StorageManager().open(server.url)
        mail().store(driver)
        crew(driver, NOW, web=(0.0, 0.0))
        settled(driver, NOW)
        running = Collector(driver, ages=Ages(1.0, 2.0), now=lambda: clock[0], turn_seconds=0.05)
        with running:
            until(lambda: running._turns > 1)
            server.stop()
            gone = time.monotonic()
            until(lambda: time.monotonic() - gone > 2.5 and running.errors > 2)
            clock[0] += 63
            server.start()
            until(lambda: running.passes == 1)
        assert min(beat.age for beat in worker_beats(driver.read_heartbeats())) > 2.0
        assert told(driver) == set()
        driver.close()
