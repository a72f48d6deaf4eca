"""How busy all workers were: known rows in, known answers out, and as the collector writes them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import pytest

from queue_metrics._core import Series
from queue_metrics.collector import collect
from queue_metrics.insights import connect, trends
from queue_metrics.insights.collecting import collector_answer
from queue_metrics.insights.trend_question import question
from queue_metrics.model import Direction
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.collector import CollectorState
from queue_metrics.storage.efficiency import Crew, EfficiencyRow, FleetRows, Spent, add_efficiency
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.support.fleet import NOW, heartbeat, minute

Row = tuple[float, float, float, float, float]
"""A row of `FleetRows` but for the time since the pass before, which is a minute where nothing else is said."""
RUNS = collector_answer(CollectorState(NOW, NOW - 3600, "", 0), NOW)


def by_column(rows: Sequence[Row], first: float = 60.0) -> FleetRows:
    columns = zip(*((*row, 60.0 if place else first) for place, row in enumerate(rows)), strict=True)
    return FleetRows(*(Series(numbers) for numbers in columns)) if rows else FleetRows(*[Series([])] * 6)


def efficiency(busy: Sequence[float], *, workers: int = 4, memory: float = 50.0 * 2**20, cpu: float = 0.5) -> list[Row]:
    return [
        (minute(back), 60.0 * workers * share, 60.0 * workers * (1 - share), memory, cpu)
        for back, share in zip(range(len(busy) - 1, -1, -1), busy, strict=True)
    ]


def test_efficiency_is_a_share_of_the_time_that_was_worked() -> None:
    rows = [*efficiency([0.5] * 59), (minute(0), 400.0, 0.0, 100.0 * 2**20, 1.5)]
    rows[0:0] = [(minute(90), 999.0, 0.0, math.nan, math.nan)]  # before the period
    rows[1:1] = [(minute(59), 0.0, 0.0, math.nan, math.nan)]  # nobody worked
    rows = sorted({row[0]: row for row in rows}.values())
    found = trends.efficiency_trend(question(NOW), by_column(rows), RUNS)
    assert found.statistics is not None
    worked = sum(row[1] for row in rows[1:])
    whole = worked + sum(row[2] for row in rows[1:])
    assert found.statistics.current == 100.0
    assert found.statistics.average == round(worked / whole * 100, 2)
    assert (found.statistics.min, found.statistics.max) == (50.0, 100.0)
    assert found.statistics.avg_memory_mb == pytest.approx((50 * (found.data_points - 1) + 100) / found.data_points, abs=0.006)
    assert found.statistics.avg_cpu_percent == pytest.approx((50 * (found.data_points - 1) + 150) / found.data_points, abs=0.006)
    assert found.trend is not None
    assert found.trend.direction == "increasing"


def test_a_bad_hour_moves_efficiency_after_a_good_week() -> None:
    """L25: by the share of a lifetime it would be 90.5 %."""
    found = trends.efficiency_trend(question(NOW), by_column(efficiency([0.9] * 3_000 + [0.1] * 60)), RUNS)
    assert found.statistics is not None
    assert (found.statistics.average, found.statistics.current, found.verdict.direction) == (10.0, 10.0, Direction.STEADY)


def test_unknown_memory_is_none() -> None:
    found = trends.efficiency_trend(question(NOW), by_column(efficiency([0.5, 0.5], memory=math.nan, cpu=math.nan)), RUNS)
    assert found.statistics is not None
    assert (found.statistics.avg_memory_mb, found.statistics.avg_cpu_percent) == (None, None)


@pytest.mark.parametrize(
    ("last_pass", "rows", "reason", "command"),
    [
        (None, 0, "no collector passed twice", True),
        (NOW - 7200, 0, "no collector passed twice", True),
        (NOW - 30, 0, "no collector passed twice", False),
        (NOW - 30, 5, "no worker lived from one pass", False),
        (NOW - 600, 5, "no worker lived from one pass", True),
    ],
)
def test_why_there_is_no_efficiency_is_told_and_the_command_only_where_none_runs(
    last_pass: float | None, rows: int, reason: str, command: bool
) -> None:
    collector = collector_answer(CollectorState(last_pass, last_pass, "", 0), NOW)
    nobody = [(minute(back), 0.0, 0.0, math.nan, math.nan) for back in range(20 + rows, 20, -1)]
    found = trends.efficiency_trend(question(NOW), by_column(nobody), collector)
    assert (found.available, found.statistics) == (False, None)
    assert found.message is not None
    assert reason in found.message
    assert ("queue-metrics record-trends" in found.message) is command


def test_efficiency_of_a_range_is_of_its_minutes_alone() -> None:
    """The hour before the last was busy for nine tenths, as the first pass behind it tells of its last minute too; the last one for one."""
    rows = by_column([(row[0] + 1.5, *row[1:]) for row in efficiency([0.9] * 61 + [0.1] * 59)])
    found = trends.efficiency_trend(question(NOW, start=minute(119), end=minute(59)), rows, RUNS)
    assert found.statistics is not None
    assert (found.statistics.average, found.statistics.min, found.data_points) == (90.0, 90.0, 60)


def test_efficiency_of_a_longer_interval_weighs_by_time() -> None:
    rows = [(minute(1), 60.0, 0.0, math.nan, math.nan), (minute(0), 0.0, 540.0, math.nan, math.nan)]
    found = trends.efficiency_trend(question(NOW, interval_seconds=120), by_column(rows), RUNS)
    assert found.values == (10.0,)


IDLE = (0.0, 60.0, math.nan, math.nan)


def test_of_a_row_after_a_gap_only_the_time_within_the_period_counts() -> None:
    """One worker was busy for the 205 minutes in which nobody passed, the last 25 of them in the hour; and idle for 35 minutes since."""
    rows = [(NOW - 35 * 60, 205 * 60.0, 0.0, math.nan, math.nan), *((NOW - back * 60, *IDLE) for back in range(34, -1, -1))]
    found = trends.efficiency_trend(question(NOW), by_column(rows, first=205 * 60.0), RUNS)
    assert found.statistics is not None
    assert found.statistics.average == round(25 / 60 * 100, 2)
    assert (found.data_points, found.statistics.min) == (36, 0.0)


@pytest.mark.parametrize(
    ("first", "last", "busy"),
    [(240, 180, 1.0), (350, 250, 0.5), (350, 110, 0.75), (180, 60, 0.5), (60, 30, 0.0), (121, 120, 1.0)],
)
@pytest.mark.parametrize("late", [0.0, 1.5])
def test_a_range_that_ends_within_a_gap_knows_of_it_by_the_first_pass_behind(
    driver: StorageDriver, first: int, last: int, busy: float, late: float
) -> None:
    """A worker was busy while nobody passed from 5 to 2 hours ago, and idle else; by the same rows `worker_summary` is."""

    def passed(back: int, minutes: int, share: float) -> None:
        crew = Crew(Spent(60.0 * minutes * share, 60.0 * minutes * (1 - share)), 2.0**20, 0.5, 1, 0, 1)
        add_efficiency(driver, EfficiencyRow(minute(back) + late, 60.0 * minutes, crew, {}, {}))

    for back in (*range(420, 299, -1), *range(119, -1, -1)):
        passed(back, 1, 0.0)
    passed(120, 180, 1.0)
    metrics, start, end = connect(driver, now=lambda: NOW), minute(first), minute(last)
    found, workers = metrics.efficiency(start=start, end=end), metrics.worker_summary(start=start, end=end)
    assert found.statistics is not None
    assert workers.window_ratio is not None
    assert found.statistics.average == pytest.approx(100 * workers.window_ratio, abs=0.006)
    # A pass that is late has as much of the time before it.
    assert found.statistics.average == pytest.approx(100 * busy, abs=100 * late / 60 / (first - last) + 0.006)
    assert all(start <= at < end for at in found.times)


def test_what_the_first_pass_behind_a_range_saw_is_not_of_it(driver: StorageDriver) -> None:
    add_efficiency(driver, EfficiencyRow(NOW - 60, 7200.0, Crew(Spent(3600.0, 3600.0), 2.0**20, 0.5, 1, 0, 1), {}, {}))
    found = connect(driver, now=lambda: NOW).efficiency(start=minute(60), end=minute(30))
    assert found.statistics is not None
    assert (found.values, found.times) == ((50.0,), (minute(31),))
    assert (found.statistics.avg_memory_mb, found.statistics.avg_cpu_percent) == (None, None)
    assert not connect(driver, now=lambda: NOW).efficiency(start=minute(300), end=minute(200)).available


def test_a_row_after_a_gap_outweighs_no_interval() -> None:
    """It ends 30 s into an interval: these and a minute before are what it can tell of it, beside four minutes of others."""
    first = minute(-1) - 2 * 300 + 30.0
    rows = [(first, 12_000.0, 0.0, math.nan, math.nan), *((first + 60 * later, *IDLE) for later in range(1, 10))]
    found = trends.efficiency_trend(question(NOW, interval_seconds=300), by_column(rows, first=12_000.0), RUNS)
    assert found.values == pytest.approx((90 / (90 + 240) * 100, 0.0))


def test_a_gap_of_the_collector_leaves_all_workers_as_busy_as_those_of_the_server(driver: StorageDriver) -> None:
    def beat(at: float, busy: float, idle: float) -> None:
        told = heartbeat(process_started=NOW - 86_400, written=at, seen=at, busy=busy, idle=idle)
        driver.heartbeat_many([("web-1:100:77", told)], 6000.0)

    for back, busy, idle in [(240, 0, 0), *((back, 205, 35 - back) for back in range(35, -1, -1))]:
        beat(NOW - back * 60, busy * 60.0, idle * 60.0)
        collect(driver, "web-1:1", now=NOW - back * 60)
    metrics = connect(driver, now=lambda: NOW)
    found, workers = metrics.efficiency(), metrics.server("web-1").workers
    assert found.statistics is not None
    assert workers is not None
    assert workers.window_ratio is not None
    assert found.statistics.average == pytest.approx(100 * workers.window_ratio, abs=1.0)


@pytest.mark.parametrize("interval", [60, 1200, 2400, 3540])
def test_points_of_efficiency_lie_in_the_period_and_tell_of_all_of_it(interval: int) -> None:
    """Two thirds busy, whatever is left of the period in front of whole intervals."""
    driver = MemoryStorageDriver()
    for back in range(300, 0, -1):
        add_efficiency(driver, EfficiencyRow(minute(back) + 45.0, 60.0, Crew(Spent(40.0, 20.0), None, None, 1, 0, 1), {}, {}))
    found = connect(driver, now=lambda: NOW).efficiency(interval_seconds=interval)
    assert found.values == pytest.approx([100 * 2 / 3] * found.data_points)
    assert found.data_points in (-(-3600 // interval), -(-3600 // interval) - 1)  # nobody passed in the open minute yet
    assert all(NOW - 3600 <= at < NOW for at in found.times)


def test_that_an_interval_was_shortened_is_said_without_an_answer_too() -> None:
    found = connect(MemoryStorageDriver(), now=lambda: NOW).efficiency(period_seconds=600, interval_seconds=1200)
    assert not found.available
    assert "An interval of 1200 s is answered as 600 s: the period is no longer." in str(found.message)


def test_efficiency_comes_out_of_the_store_as_the_collector_wrote_it(driver: StorageDriver) -> None:
    """Twenty passes of two workers, each busy for a share of the minute; one row is damaged, and hides none of the others."""
    for back in range(20, 0, -1):
        crew = Crew(Spent(6.0 * back, 120.0 - 6.0 * back), 64.0 * 2**20, 0.25, 2, 1, 1)
        add_efficiency(driver, EfficiencyRow(float(minute(back)) + 1.5, 60.0, crew, {}, {}))
    metrics = connect(driver, now=lambda: NOW)
    expected = tuple(5.0 * back for back in range(20, 0, -1))
    for damaged in (False, True):
        if damaged:
            driver.add_to_sorted_set("worker_efficiency", {"no JSON": float(minute(3))})
        found = metrics.efficiency()
        assert found.values == pytest.approx(expected)
        assert found.statistics is not None
        assert dataclasses.asdict(found.statistics) == {
            "current": 5.0,
            "average": 52.5,
            "min": 5.0,
            "max": 100.0,
            "avg_memory_mb": 64.0,
            "avg_cpu_percent": 25.0,
        }
        assert found.verdict.direction is Direction.DRAINING
    assert metrics.efficiency(period_seconds=300).data_points == 4
    ages = {metrics.efficiency(interval_seconds=interval).age_seconds for interval in (60, 600, 3600)}
    assert ages == {NOW - (minute(1) + 1.5)}, "of the last pass, not of the interval that it is in"
    assert not connect(driver, now=lambda: NOW + 9_000).efficiency().available
