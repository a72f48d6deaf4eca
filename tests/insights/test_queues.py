"""What is told of a queue beside its numbers: listed without workers, predicates at their limits, the last minute, how busy."""

from __future__ import annotations

import pytest

from queue_metrics.insights import Metrics, connect
from queue_metrics.model import Moment, Status
from queue_metrics.storage.base import StorageDriver
from tests.support.fleet import NOW, Fleet, minute

MAIL = ("broker", "mail")


def reading(driver: StorageDriver, fleet: Fleet) -> Metrics:
    fleet.store(driver)
    return connect(driver, now=lambda: NOW)


def asked(fleet: Fleet, **depths: int) -> None:
    """The broker was asked five seconds ago: `ready`, `reserved`, `scheduled`, `running` jobs, `age` and `due` in seconds."""
    at = int((NOW - 5) * 1e6)
    names = ("ready", "reserved", "scheduled", "running", "age", "due")
    gauges = {names.index(name): [(at, number * (1_000_000 if name in ("age", "due") else 1))] for name, number in depths.items()}
    fleet.queue(MAIL, minute(0), gauges=gauges)


@pytest.mark.parametrize(
    ("depths", "depth", "backlogged", "empty"),
    [
        ({"ready": 100, "age": 300}, 100, False, False),
        ({"ready": 101}, 101, True, False),
        ({"ready": 1, "age": 301}, 1, True, False),
        ({"ready": 0, "reserved": 0, "scheduled": 0}, 0, False, True),
        ({"ready": 0, "reserved": 2, "scheduled": 5, "running": 2}, 7, False, False),
        ({}, None, None, None),
    ],
)
def test_predicates_hold_on_both_sides_of_the_limits(
    driver: StorageDriver, depths: dict[str, int], depth: int | None, backlogged: bool | None, empty: bool | None
) -> None:
    fleet = Fleet()
    fleet.queue(MAIL, minute(1), counts={"arrivals": 1})
    asked(fleet, **depths)
    answer = reading(driver, fleet).queue(*MAIL)
    assert (answer.depth, answer.backlogged, answer.empty, answer.has_workers) == (depth, backlogged, empty, False)


def test_a_queue_that_nobody_works_on_stays_listed_with_its_backlog(driver: StorageDriver) -> None:
    """L19: silence must not hide it; nor must it vanish when nothing of it was recorded for days."""
    fleet = Fleet()
    asked(fleet, ready=400, age=2100)
    fleet.queue(("broker", "forgotten"), minute(60 * 24 * 3), counts={"arrivals": 2})
    answers = {answer.queue: answer for answer in reading(driver, fleet).queues()}
    assert set(answers) == {"mail", "forgotten"}
    health = answers["mail"].health
    assert (health.status, health.score) == (Status.CRITICAL, 20)
    assert {reason.code: reason.points for reason in health.reasons} == {"queue_depth": 30, "queue_age": 30, "no_worker": 20}
    assert (answers["forgotten"].depth, answers["forgotten"].last_processed, answers["forgotten"].lifetime.counts.arrivals) == (
        None,
        None,
        2,
    )


@pytest.mark.parametrize("minutes", [5, 60, 1000, 30_000])
def test_the_last_minute_is_the_same_whatever_the_window(driver: StorageDriver, minutes: int) -> None:
    fleet = Fleet()
    fleet.queue(MAIL, minute(0), counts={"started": 1, "succeeded": 2, "failed": 1}, measures={0: [6_000_000]})
    fleet.queue(MAIL, minute(1), counts={"started": 3, "succeeded": 6}, measures={0: [1_000_000] * 6})
    fleet.queue(MAIL, minute(2), counts={"started": 9, "succeeded": 90}, measures={0: [1_000] * 90})
    told = reading(driver, fleet).queue(*MAIL, minutes=minutes).minute
    assert (told.nominal_seconds, told.window.start, told.window.end) == (60, minute(1), minute(0))
    assert (told.n, told.failure.part, told.failure.n) == (6, 0, 6)
    assert (told.throughput_per_second, told.busy_workers) == (6 / 60, 6 / 60)
    assert told.mean_runtime_seconds == pytest.approx(1)


def test_when_the_next_job_is_due_is_known_as_long_as_one_is_scheduled(driver: StorageDriver) -> None:
    fleet, at = Fleet(), int((NOW - 5) * 1e6)
    asked(fleet, ready=0, scheduled=2, due=90)
    assert reading(driver, fleet).queue(*MAIL).due_seconds == 90.0
    later = Fleet()
    later.queue(MAIL, minute(0), gauges={0: [(at + 1_000_000, 0)], 2: [(at + 1_000_000, 0)]})
    later.store(driver, sequence=1)
    answer = connect(driver, now=lambda: NOW).queue(*MAIL)
    assert (answer.scheduled, answer.due_seconds) == (0, None), "what was told last is of a job long gone"


def test_how_busy_a_queue_is_now_and_was_in_the_window(driver: StorageDriver) -> None:
    fleet = Fleet()
    fleet.queue(MAIL, minute(9), counts={"started": 1})
    fleet.task((*MAIL, "app.send"), minute(4), counts={"succeeded": 1}, measures={0: [114_000_000]})
    fleet.worker(pid=1, state="busy", queue="mail")
    fleet.worker(pid=2, state="idle", queue="mail,bulk")
    fleet.worker(pid=3, state="busy", queue="bulk")
    fleet.queue(("broker", "unworked"), minute(1), counts={"started": 1})
    metrics = reading(driver, fleet)
    answer = metrics.queue(*MAIL)
    assert (answer.workers, answer.busy_ratio, answer.has_workers) == (2, 0.5, True)
    assert answer.window.observed_seconds == 570.0
    assert answer.utilisation_ratio == 114 / (570 * 2)
    nobody = metrics.queue("broker", "unworked")
    assert (nobody.workers, nobody.busy_ratio, nobody.utilisation_ratio) == (0, None, None)


def test_when_a_queue_was_processed_last_is_told_by_the_steps_of_the_window(driver: StorageDriver) -> None:
    fleet = Fleet()
    fleet.queue(MAIL, minute(9), counts={"succeeded": 1})
    fleet.queue(MAIL, minute(3), counts={"failed": 1})
    metrics = reading(driver, fleet)
    assert metrics.queue(*MAIL).last_processed == Moment(minute(9), 60)
    assert metrics.queue(*MAIL, minutes=5).last_processed is None
    assert metrics.queue(*MAIL, minutes=1000).last_processed == Moment(minute(9) // 3600 * 3600, 3600)
