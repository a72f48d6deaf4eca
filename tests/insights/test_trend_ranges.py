"""Trends of a range: what lies in it and nothing else, the bounds, and what is of now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from queue_metrics.insights.trend_question import AskedTrend
from queue_metrics.model import DepthTrend, NoTrend, ThroughputTrend
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.insights.test_trends import QUEUE, depths, ended, reading
from tests.support.fleet import NOW, Fleet, minute


def two_hours() -> Fleet:
    """Until an hour ago the depth rises by 12 a minute and 3 jobs end in each; since then it is 0 and one ends."""
    fleet = Fleet()
    depths(fleet, [12 * number for number in range(60)], last=60)
    depths(fleet, [0] * 60)
    ended(fleet, [3] * 60, last=60, asked=False)
    ended(fleet, [1] * 59, asked=False)
    return fleet


def test_a_trend_of_a_range_is_of_its_minutes_alone(driver: StorageDriver) -> None:
    """By hand: 60 whole minutes that are over, none of those before or behind; a line up although the last hour is flat."""
    metrics = reading(driver, two_hours())
    range_ = AskedTrend(start=minute(119), end=minute(59))
    found = metrics.trend(*QUEUE, **range_)
    assert isinstance(found, DepthTrend)
    assert found.values == tuple(12.0 * number for number in range(60))
    assert (found.trend.slope, found.trend.direction, found.statistics.max, found.period_seconds) == (0.2, "increasing", 708, 3600)
    window = found.time_window
    assert (window.window_start, window.window_end, window.analyzed_at) == (minute(119), minute(59), NOW)
    assert found.age_seconds == NOW - (minute(60) + 30)
    flow = metrics.throughput(*QUEUE, **range_)
    assert isinstance(flow, ThroughputTrend)
    assert (flow.values, flow.statistics.total_jobs, flow.statistics.jobs_per_minute) == ((3.0,) * 60, 180, 3.0)
    # One that begins and ends within minutes has the whole ones that hold it.
    inside = metrics.throughput(*QUEUE, start=minute(70) + 20.0, end=minute(65) + 1.0)
    assert isinstance(inside, ThroughputTrend)
    assert (inside.statistics.total_jobs, inside.times[0], inside.period_seconds) == (18, minute(70), 360)
    empty = metrics.trend(*QUEUE, start=minute(600), end=minute(540))
    assert isinstance(empty, NoTrend)
    assert "was recorded from 20" in empty.message


def test_a_range_that_reaches_to_now_is_the_period_of_its_length(driver: StorageDriver) -> None:
    metrics = reading(driver, two_hours())
    for ask in (metrics.trend, metrics.throughput):
        assert ask(*QUEUE, start=NOW - 1800) == ask(*QUEUE, period_seconds=1800) == ask(*QUEUE, start=NOW - 1800, end=NOW + 99)
    assert metrics.efficiency(start=NOW - 1800) == metrics.efficiency(period_seconds=1800)


def test_whoever_lives_now_is_no_capacity_of_a_range_that_is_over() -> None:
    """One worker serves the queue alone now; how many did then nobody knows."""
    fleet, driver = Fleet(), MemoryStorageDriver()
    depths(fleet, [100 + number for number in range(60)], last=60)
    ended(fleet, [20] * 60, last=60)
    ended(fleet, [20] * 60)
    fleet.worker(connection=QUEUE[0], queue=QUEUE[1])
    metrics = reading(driver, fleet)
    now, then = metrics.trend(*QUEUE), metrics.trend(*QUEUE, start=minute(119), end=minute(60))
    assert now.verdict.flow is not None
    assert now.verdict.flow.capacity_from == "workers"
    assert then.verdict.flow is None or then.verdict.flow.capacity_from != "workers"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"start": NOW - 30}, "a range of a trend must have 60 to 604800 s, not 30"),
        ({"start": NOW - 604_861}, "a range of a trend must have 60 to 604800 s, not 604861"),
        ({"start": NOW + 60}, "start must be seconds since 1970"),
        ({"start": NOW - 90, "end": NOW - 90}, "end must be seconds since 1970, later than start"),
        ({"end": NOW}, "needs its start"),
        ({"start": NOW - 90, "period_seconds": 90}, "period_seconds, or by start and end, not by both"),
    ],
)
def test_a_range_that_cannot_be_is_refused_with_the_bounds(asked: dict[str, float], words: str) -> None:
    metrics = reading(MemoryStorageDriver(), two_hours())
    for ask in (metrics.efficiency, lambda **when: metrics.trend(*QUEUE, **when), lambda **when: metrics.throughput(*QUEUE, **when)):
        with pytest.raises(ValueError, match=words):
            ask(**asked)  # type: ignore[arg-type]


def test_a_range_of_which_nothing_is_kept_any_more_blames_nobody() -> None:
    """Passes and questions to the broker were made then; what is left says for how long they are kept, and by which setting."""
    metrics = reading(MemoryStorageDriver(), two_hours())
    asks = (
        (lambda **range_: metrics.trend(*QUEUE, **range_), 8, "Minutes of queues are kept for 8 d 0 h (ttl.aggregated)"),
        (lambda **range_: metrics.throughput(*QUEUE, **range_), 8, "Minutes of queues are kept for 8 d 0 h (ttl.aggregated)"),
        (metrics.efficiency, 7, "Minutes of workers are kept for 7 d 0 h (ttl.workers)"),
    )
    for ask, days, words in asks:
        over = minute() - days * 86_400
        gone, partly = ask(start=over - 7200, end=over - 3600), ask(start=over - 3600, end=over + 3600)
        assert gone.message == f"{words}: nothing is known of what was before."
        assert not partly.available
        assert partly.message is not None
        assert partly.message.startswith("No")
        assert words in partly.message
        assert words not in str(ask(start=over + 3600, end=over + 7200).message)


def test_efficiency_says_for_how_long_a_store_keeps_minutes_of_workers() -> None:
    driver = MemoryStorageDriver()
    driver.lifetimes = replace(driver.lifetimes, workers=7200)
    metrics = reading(driver, two_hours())
    assert "Minutes of workers are kept for 2 h 00 min (ttl.workers)" in str(metrics.efficiency(period_seconds=7260).message)
    assert "ttl.workers" not in str(metrics.efficiency(period_seconds=7200).message)
