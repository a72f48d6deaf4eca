"""A store is not divided by time before anything was recorded in it, by whatever steps a window is made of; reading stays cheap."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from queue_metrics.config import load_settings
from queue_metrics.insights import Metrics, connect
from queue_metrics.insights.window import Asked
from queue_metrics.model import Overview, QueueAnswer, ServerAnswer, TaskAnswer
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import StorageManager, open_store
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.support.fleet import NOW, Fleet, minute

QUEUE, TASK = ("broker", "mail"), ("broker", "mail", "send")
BY_MINUTE, BY_HOUR, BY_DAY = (Asked(minutes=minutes) for minutes in (60, 1000, 30_000))
HOURS, DAYS = 60, 1440
"""In minutes."""


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[StorageDriver]:
    """A store that counts its requests, as that in memory does not."""
    driver = StorageManager().open(f"sqlite:///{tmp_path}/counting.db")
    yield driver
    driver.close()


def at(minute_of_hour: int) -> float:
    """30 s into a minute of this hour: a clock that is ahead may be in the next."""
    return int(NOW) // 3600 * 3600 + minute_of_hour * 60 + 30.0


def one_a_second(fleet: Fleet, *minutes: int) -> Fleet:
    """A job ended in every second of these minutes; each took half a second."""
    for back in minutes:
        counts = {"started": 60, "succeeded": 60}
        fleet.task(TASK, minute(back), counts=counts, measures={0: [500_000] * 60})
        fleet.queue(QUEUE, minute(back), counts=counts)
        fleet.server("web-1", minute(back), counts=counts, measures={0: [500_000] * 60})
    fleet.worker(host="web-1", queue="mail")
    return fleet


def observed(metrics: Metrics, window: Asked) -> float | None:
    """Since when, by all answers that divide by it."""
    answers: list[Overview | TaskAnswer | QueueAnswer | ServerAnswer] = [
        metrics.overview(**window),
        metrics.task("send", **window),
        *metrics.task_details(**window),
        *metrics.tasks(**window),
        *metrics.queues(**window),
        *metrics.servers(**window),
    ]
    assert len(answers) == 6
    (since,) = {answer.window.observed_from for answer in answers}
    return since


@pytest.mark.parametrize("window", [BY_MINUTE, BY_HOUR, BY_DAY])
def test_a_store_that_is_five_minutes_old_has_the_rate_of_five_minutes(driver: StorageDriver, window: Asked) -> None:
    one_a_second(Fleet(), *range(1, 6)).store(driver)
    metrics = connect(driver, now=lambda: NOW)
    assert observed(metrics, window) == minute(5)
    task, queue = metrics.task("send", **window), metrics.queue(*QUEUE, **window)
    assert task.throughput_per_second == queue.ends_per_second == pytest.approx(300 / 330)
    assert task.busy_workers == pytest.approx(150 / 330)
    assert task.throughput_per_day == pytest.approx(300 / 330 * 86400)
    assert metrics.everything().jobs[0].detail.windows[-1].throughput_per_second == pytest.approx(300 / 330)


def test_requests_of_other_threads_are_not_taken_for_a_look_at_what_was_last() -> None:
    """Which would leave none for the minute in which recording began."""
    asked = itertools.count()

    class Busy(MemoryStorageDriver):
        requests = property(lambda _: next(asked))

    driver = Busy()
    one_a_second(Fleet(), *range(1, 6)).store(driver)
    jobs = connect(driver, now=lambda: NOW).everything().jobs
    assert jobs[0].detail.windows[-1].throughput_per_second == pytest.approx(300 / 330)


@pytest.mark.parametrize("window", [BY_HOUR, BY_DAY])
@pytest.mark.parametrize("old", [1, 2, 4, 5, 20])
@pytest.mark.parametrize("ahead", [1, 4, 5])
@pytest.mark.parametrize("now", [at(1), at(30), at(57)], ids=["of a new hour", "half past", "of an old hour"])
def test_a_clock_that_is_ahead_makes_no_rate_higher_than_it_was(
    driver: StorageDriver, now: float, window: Asked, ahead: int, old: int
) -> None:
    """Its first minute may lie behind now, or so shortly before that what it counted since would be divided by a moment."""
    open_minute = int(NOW - now) // 60
    one_a_second(Fleet(), *(open_minute + back - ahead for back in range(old))).store(driver)
    task = connect(driver, now=lambda: now).task("send", **window)
    assert (task.throughput_per_second or 0.0) <= 1.0
    if now == at(30):
        assert task.window.observed_seconds == old * 60 + 30, "as by a clock that is right, to a minute"


def test_a_clock_that_is_ahead_moves_no_beginning_out_of_the_window(tmp_path: Path) -> None:
    """Which is of two hours here, as minutes are kept for one."""
    now = at(1)
    with closing(open_store(load_settings(store=f"sqlite:///{tmp_path}/m.db", ttl={"raw": 3600}))) as driver:
        one_a_second(Fleet(), *(int(NOW - now) // 60 + back for back in range(-4, 62))).store(driver)
        window = connect(driver, now=lambda: now).queue(*QUEUE, minutes=70).window
        assert window.step_seconds == 3600
        assert window.observed_from == window.start == now - 61.5 * 60


def test_what_began_in_an_earlier_hour_or_day_is_known_to_the_minute_while_minutes_are_kept(driver: StorageDriver) -> None:
    one_a_second(Fleet(), 1, 5 * HOURS + 7).store(driver)
    assert observed(connect(driver, now=lambda: NOW), BY_HOUR) == minute(5 * HOURS + 7)
    assert observed(connect(driver, now=lambda: NOW), BY_DAY) == minute(5 * HOURS + 7)


def test_of_ten_days_ago_it_is_known_to_the_hour(driver: StorageDriver) -> None:
    one_a_second(Fleet(), 1, 10 * DAYS).store(driver)
    assert observed(connect(driver, now=lambda: NOW), BY_DAY) == minute(10 * DAYS) // 3600 * 3600


def test_recording_that_went_on_before_the_window_fills_it(counting: StorageDriver) -> None:
    """The first hour may have been quiet until its last minute: it was observed all the same."""
    fleet = one_a_second(Fleet(), 1)
    metrics = connect(counting, now=lambda: NOW)
    start = int(NOW) // 3600 * 3600 + 3600 - 17 * 3600
    for at in (start - 60, start + 59 * 60):
        fleet.queue(QUEUE, at, counts={"started": 1})
    fleet.store(counting)
    before = counting.requests
    queues = metrics.queues(**BY_HOUR)
    one_look = counting.requests - before
    assert queues[0].window.observed_from == queues[0].window.start == start
    metrics.queues(**BY_MINUTE)
    assert counting.requests - before == 2 * one_look, "nothing more is looked for"


@pytest.mark.parametrize("back", [5, 5 * HOURS + 7, 30 * HOURS, 10 * DAYS])
@pytest.mark.parametrize("window", [BY_MINUTE, BY_HOUR, BY_DAY])
def test_it_costs_one_request_at_most(counting: StorageDriver, window: Asked, back: int) -> None:
    one_a_second(Fleet(), 1, back).store(counting)
    metrics, taken, told = connect(counting, now=lambda: NOW), [], set()
    for _ in range(4):
        before = counting.requests
        told.add(metrics.overview(**window).window.observed_from)
        taken.append(counting.requests - before)
    assert max(taken) <= taken[-1] + 1
    assert len(told) == 1, "the first answer is no other than the next"


def test_it_is_looked_for_once_and_again_when_more_of_that_hour_arrives(counting: StorageDriver) -> None:
    one_a_second(Fleet(), 1, 5 * HOURS).store(counting)
    metrics = connect(counting, now=lambda: NOW)

    def asked() -> int:
        before = counting.requests
        metrics.queues(**BY_HOUR)
        return counting.requests - before

    first, second = asked(), asked()
    assert first == second + 1
    late = minute(5 * HOURS) // 3600 * 3600
    late_fleet = Fleet()
    late_fleet.queue(QUEUE, late, counts={"started": 1})
    late_fleet.store(counting, sequence=1)
    assert asked() == first
    assert metrics.queues(**BY_HOUR)[0].window.observed_from == late
