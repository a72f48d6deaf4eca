"""What was last, and longer ago than a day, is known in lists of all tasks too; it is looked for once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from queue_metrics.insights import Metrics, connect
from queue_metrics.insights.recency import HAPPENINGS
from queue_metrics.model import Moment, TaskDetail
from queue_metrics.storage.base import EXCEPTION, StorageDriver
from queue_metrics.storage.manager import StorageManager
from tests.insights.test_task_details import QUIET, redis_url, told  # noqa: F401 - fixtures
from tests.support.fleet import NOW, Fleet, minute

MAIL, LATE = ("broker", "mail", "send"), ("broker", "mail", "late")
HOUR, DAY = 60, 60 * 24
"""In minutes."""
LAST = (*HAPPENINGS, "last_exception", "last_exception_at")


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[StorageDriver]:
    driver = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    yield driver
    driver.close()


def failed(fleet: Fleet, place: tuple[str, str, str], back: int, exception: str) -> None:
    """A failure so many minutes ago."""
    fleet.task(place, minute(back), counts={"started": 1, "failed": 1})
    fleet.series(EXCEPTION, (*place, exception), minute(back), {"failed": 1})


def details(metrics: Metrics) -> dict[str, TaskDetail]:
    """Both lists of all tasks: they agree."""
    found = {job.detail.task: job.detail for job in metrics.everything().jobs}
    for detail in metrics.task_details():
        other = found[detail.task]
        assert [getattr(detail, name) for name in LAST] == [getattr(other, name) for name in LAST]
    return found


def day(back: int) -> Moment:
    return Moment(float(minute(back) // 86400 * 86400), 86400)


@pytest.mark.parametrize("back", [2 * DAY, 29 * DAY, 31 * DAY, 390 * DAY])
def test_a_failure_of_long_ago_is_told_with_its_exception(driver: StorageDriver, back: int) -> None:
    fleet = Fleet()
    failed(fleet, MAIL, back + 5 * DAY, "KeyError")
    failed(fleet, MAIL, back, "ValueError")
    failed(fleet, LATE, 3 * HOUR, "OSError")
    fleet.task(MAIL, minute(1), counts={"started": 1, "succeeded": 1})
    fleet.store(driver)
    found = details(connect(driver, now=lambda: NOW))
    assert (found["send"].last_failed, found["send"].last_exception) == (day(back), "ValueError")
    assert (found["late"].last_failed, found["late"].last_exception) == (
        Moment(float(minute(3 * HOUR) // 3600 * 3600), 3600),
        "OSError",
    )


@pytest.mark.parametrize("back", [2 * DAY, 31 * DAY])
def test_whatever_was_long_ago_is_told_each_by_its_own_day(driver: StorageDriver, back: int) -> None:
    happened = {"last_processed": "succeeded", "last_retried": "retried", "last_timed_out": "timed_out", "last_discarded": ""}
    fleet = Fleet()
    for number, outcome in enumerate(happened.values()):
        counts, discarded = ({"started": 1, outcome: 1}, []) if outcome else ({}, [1])
        fleet.task(MAIL, minute(back + number * DAY), counts=counts, discarded=discarded)
    fleet.store(driver)
    metrics = connect(driver, now=lambda: NOW)
    found = details(metrics)["send"]
    assert {name: getattr(found, name) for name in happened} == {name: day(back + number * DAY) for number, name in enumerate(happened)}
    assert found.last_failed == day(back + 2 * DAY), "a timeout is a failure"
    assert metrics.task("send").last_retried == found.last_retried


def test_it_is_looked_for_once_and_again_when_it_failed_again(driver: StorageDriver) -> None:
    fleet = Fleet()
    failed(fleet, MAIL, 40 * DAY, "ValueError")
    fleet.task(LATE, minute(1), counts={"started": 1, "succeeded": 1})
    fleet.store(driver)
    metrics = connect(driver, now=lambda: NOW)

    def asked() -> int:
        before = driver.requests
        metrics.everything()
        return driver.requests - before

    first, second = asked(), asked()
    assert second < first
    assert asked() == second
    later = Fleet()
    failed(later, MAIL, 2 * DAY, "KeyError")
    later.store(driver, sequence=1)
    assert asked() == first, "it is looked for again"
    assert asked() == second
    found = details(metrics)["send"]
    assert (found.last_failed, found.last_exception) == (day(2 * DAY), "KeyError")


def test_where_all_of_it_was_within_the_day_nothing_more_is_read(driver: StorageDriver) -> None:
    fleet = Fleet()
    fleet.task(MAIL, minute(5), counts={"started": 1, "succeeded": 1})
    failed(fleet, LATE, 5, "ValueError")
    fleet.store(driver)
    metrics = connect(driver, now=lambda: NOW)
    before = driver.requests
    metrics.everything()
    first = driver.requests - before
    metrics.everything()
    assert driver.requests - before == 2 * first


@pytest.mark.parametrize("seed", QUIET)
def test_lists_and_one_task_agree_about_a_store_that_has_been_quiet(told: dict[int, tuple[object, Metrics]], seed: int) -> None:  # noqa: F811
    _, metrics = told[seed]
    found = details(metrics)
    assert any(detail.last_failed is not None for detail in found.values())
    for name, detail in found.items():
        one = metrics.task(name)
        assert [getattr(detail, name) for name in LAST] == [getattr(one, name) for name in LAST]
