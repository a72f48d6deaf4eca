"""How old trends are: as their newest evidence, by the clock of who recorded it as far as that is known."""

from __future__ import annotations

import pytest

from queue_metrics.insights import connect
from queue_metrics.insights.trend_question import AskedTrend
from queue_metrics.storage.base import StorageDriver
from tests.insights.test_trends import QUEUE, depths, ended
from tests.support.fleet import NOW, Fleet, minute


@pytest.mark.parametrize("interval", [60, 3600, 14_400])
def test_a_trend_is_as_old_as_its_newest_evidence_whatever_its_intervals(driver: StorageDriver, interval: int) -> None:
    fleet = Fleet()
    ended(fleet, [5] * 600, last=1)
    depths(fleet, [7] * 600, last=1)
    fleet.store(driver)
    metrics = connect(driver, now=lambda: NOW)
    asked = AskedTrend(period_seconds=28_800, interval_seconds=interval)
    assert metrics.throughput(*QUEUE, **asked).age_seconds == NOW - (minute(1) + 60)
    assert metrics.trend(*QUEUE, **asked).age_seconds == NOW - (minute(1) + 30)


def test_where_no_broker_is_asked_a_trend_is_as_old_as_what_was_stored(driver: StorageDriver) -> None:
    """Minutes after it in which nothing is taken to have happened are no evidence."""
    fleet = Fleet()
    ended(fleet, [5] * 10, last=20, asked=False)
    fleet.store(driver)
    found = connect(driver, now=lambda: NOW).throughput(*QUEUE)
    assert (found.values[-1], found.age_seconds) == (0.0, NOW - (minute(20) + 60))


def test_what_a_host_asked_whose_clock_is_ahead_is_as_old_as_it_says_of_its_depth(driver: StorageDriver) -> None:
    """By 40 s, and asked at once: never older than it is, and never below 0."""
    fleet = Fleet()
    fleet.queue(QUEUE, minute(0), gauges={0: [(round((NOW + 25) * 1e6), 7)]})
    fleet.worker(connection="broker", queue="mail", seen=NOW + 40)
    fleet.store(driver)
    metrics = connect(driver, now=lambda: NOW)
    age = metrics.trend(*QUEUE).age_seconds
    assert age == pytest.approx(metrics.queue(*QUEUE).depth_age_seconds, abs=5)
    assert age is not None
    assert age >= 0
