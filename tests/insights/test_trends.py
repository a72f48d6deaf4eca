"""Known series in, known answers out: through a store in memory, SQLite and a real Redis."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from queue_metrics.insights import Metrics, UnknownName, connect, trends
from queue_metrics.insights.minutes import minutes
from queue_metrics.insights.trend_question import question
from queue_metrics.model import DepthTrend, Direction, NoTrend, ThroughputTrend
from queue_metrics.storage.base import MINUTE, RETENTION, StorageDriver
from queue_metrics.storage.base import QUEUE as QUEUE_KIND
from queue_metrics.storage.efficiency import Crew, EfficiencyRow, Spent, add_efficiency
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.support.fleet import HOSTILE, NOW, Fleet, minute
from tests.support.servers import RedisServer

QUEUE = ("broker", "mail")


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(params=["memory", "sqlite", "redis"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorageDriver]:
    if request.param == "redis":
        opened = StorageManager(prefix=tmp_path.name).open(request.getfixturevalue("redis_url"))
    else:
        opened = MemoryStorageDriver() if request.param == "memory" else StorageManager().open(f"sqlite:///{tmp_path}/trends.db")
    yield opened
    opened.close()


def depths(fleet: Fleet, numbers: Sequence[int | None], *, last: int = 0, labels: Sequence[str] = QUEUE) -> None:
    """The last depth of each minute, asked in its middle; the last number stands `last` minutes back; None is a gap."""
    for back, depth in enumerate(reversed(numbers), start=last):
        if depth is not None:
            at = minute(back)
            fleet.queue(labels, at, gauges={0: [((at + 10) * 1_000_000, 99_999), ((at + 30) * 1_000_000, depth)]})


def ended(fleet: Fleet, numbers: Sequence[int | None], *, last: int = 1, asked: bool = True) -> None:
    """Executions that ended in each minute."""
    for back, number in enumerate(reversed(numbers), start=last):
        if number is not None:
            at = minute(back)
            gauges = {0: [((at + 30) * 1_000_000, 0)]} if asked else None
            fleet.queue(QUEUE, at, counts={"started": number, "succeeded": number}, measures={0: [1_000_000] * number}, gauges=gauges)


def reading(driver: StorageDriver, fleet: Fleet) -> Metrics:
    fleet.store(driver)
    return connect(driver, now=lambda: NOW)


def test_the_depth_of_an_hour(driver: StorageDriver) -> None:
    """By hand: 60 points, 0, 12, 24 ... 708, a minute apart: a slope of 0.2 jobs a second, a perfect line."""
    fleet = Fleet()
    depths(fleet, [12 * number for number in range(60)])
    found = reading(driver, fleet).trend(*QUEUE)
    assert (found.available, found.message, found.connection, found.queue) == (True, None, *QUEUE)
    assert (found.period_seconds, found.interval_seconds, found.data_points) == (3600, 60, 60)
    assert found.values == tuple(12.0 * number for number in range(60))
    assert found.times == tuple(float(minute(59 - number) + 30) for number in range(60))
    assert found.statistics is not None
    assert dataclasses.asdict(found.statistics) == {"current": 708, "average": 354.0, "min": 0, "max": 708, "std_dev": 207.82}
    assert found.trend is not None
    assert dataclasses.asdict(found.trend) == {"slope": 0.2, "direction": "increasing", "confidence": 1.0}
    assert found.forecast is not None
    assert dataclasses.asdict(found.forecast) == {"next_value": 720.0, "next_timestamp": minute(0) + 90}
    assert dataclasses.asdict(found.time_window) == {
        "window_seconds": 3600,
        "window_start": NOW - 3600,
        "window_end": NOW,
        "analyzed_at": NOW,
        "sample_count": 60,
        "sample_interval_seconds": 60,
    }
    # Nothing was started: whatever arrived waits.
    assert found.verdict.direction is Direction.GROWING
    assert found.verdict.slope_per_second == pytest.approx(0.2, abs=0.001)
    assert found.verdict.relative_change_per_hour == pytest.approx(0.2 * 3600 / 354, abs=0.01)


@pytest.mark.parametrize(("step", "direction"), [(7, "increasing"), (6, "stable"), (-6, "stable"), (-7, "decreasing"), (0, "stable")])
def test_the_original_calls_more_than_a_tenth_of_a_job_a_second_a_trend(step: int, direction: str) -> None:
    fleet, driver = Fleet(), MemoryStorageDriver()
    depths(fleet, [1_000 + step * number for number in range(60)])
    found = reading(driver, fleet).trend(*QUEUE).trend
    assert found is not None
    assert (found.direction, found.slope, found.confidence) == (direction, round(step / 60, 4), float(step != 0))


def test_a_constant_depth_is_steady_and_explains_nothing(driver: StorageDriver) -> None:
    fleet = Fleet()
    depths(fleet, [40] * 60)
    found = reading(driver, fleet).trend(*QUEUE)
    assert found.trend is not None
    assert found.statistics is not None
    assert found.forecast is not None
    assert (found.trend.slope, found.trend.direction, found.trend.confidence) == (0.0, "stable", 0.0)
    assert (found.statistics.std_dev, found.forecast.next_value) == (0.0, 40.0)
    assert found.verdict.direction is Direction.STEADY
    assert found.verdict.probability == pytest.approx(0.5, abs=0.01)


def test_one_point_is_its_own_forecast(driver: StorageDriver) -> None:
    fleet = Fleet()
    depths(fleet, [17], last=20)
    found = reading(driver, fleet).trend(*QUEUE)
    assert found.trend is not None
    assert found.forecast is not None
    assert (found.available, found.data_points, found.trend.slope, found.trend.confidence) == (True, 1, 0.0, 0.0)
    assert (found.forecast.next_value, found.forecast.next_timestamp) == (17.0, minute(20) + 30 + 60)
    assert found.verdict.direction is Direction.UNKNOWN
    assert "1 point" in found.verdict.reason


def test_a_forecast_is_never_below_0(driver: StorageDriver) -> None:
    fleet = Fleet()
    depths(fleet, [100, 60, 20])
    forecast = reading(driver, fleet).trend(*QUEUE).forecast
    assert forecast is not None
    assert forecast.next_value == 0.0


def test_a_gap_is_no_zero(driver: StorageDriver) -> None:
    """Ten minutes in which nobody recorded leave fifty points on the same line."""
    fleet = Fleet()
    depths(fleet, [None if 20 <= number < 30 else 100 + 6 * number for number in range(60)])
    found = reading(driver, fleet).trend(*QUEUE)
    assert found.trend is not None
    assert found.statistics is not None
    assert (found.data_points, found.trend.slope, found.trend.confidence, found.statistics.min) == (50, 0.1, 1.0, 100)


def test_the_last_depth_of_a_longer_interval_counts(driver: StorageDriver) -> None:
    fleet = Fleet()
    depths(fleet, list(range(60)))
    found = reading(driver, fleet).trend(*QUEUE, interval_seconds=600)
    assert found.values == (9.0, 19.0, 29.0, 39.0, 49.0, 59.0)
    assert found.forecast is not None
    assert (found.interval_seconds, found.forecast.next_value, found.forecast.next_timestamp) == (600, 69.0, minute(0) + 630)


def test_an_interval_below_what_is_stored_is_raised_and_said(driver: StorageDriver) -> None:
    fleet = Fleet()
    depths(fleet, [1, 2, 3])
    metrics = reading(driver, fleet)
    for asked, answered in ((10, 60), (59, 60), (61, 120), (14_400, 14_400)):
        found = metrics.trend(*QUEUE, period_seconds=14_400, interval_seconds=asked)
        assert (found.interval_seconds, found.time_window.sample_interval_seconds, found.available) == (answered, answered, True)
        assert (found.message is None) == (asked == answered)
        assert found.message is None or f"{asked} s is answered as {answered} s" in found.message


@pytest.mark.parametrize("name", ["trend", "throughput"])
def test_bounds_are_enforced_on_both_sides(name: str) -> None:
    fleet, driver = Fleet(), MemoryStorageDriver()
    depths(fleet, [1])
    ask: Callable[..., DepthTrend | ThroughputTrend | NoTrend] = getattr(reading(driver, fleet), name)
    for good in ({"period_seconds": 60}, {"period_seconds": 604_800}, {"interval_seconds": 10}, {"interval_seconds": 14_400}):
        assert ask(*QUEUE, **good).time_window.analyzed_at == NOW
    for bad, named in (
        ({"period_seconds": 59}, "period_seconds must be between 60 and 604800, not 59"),
        ({"period_seconds": 604_801}, "not 604801"),
        ({"interval_seconds": 9}, "interval_seconds must be between 10 and 14400, not 9"),
        ({"interval_seconds": 14_401}, "not 14401"),
    ):
        with pytest.raises(ValueError, match=named):
            ask(*QUEUE, **bad)


@pytest.mark.parametrize("name", ["trend", "throughput"])
def test_a_queue_that_nobody_knows_is_no_answer(driver: StorageDriver, name: str) -> None:
    metrics = reading(driver, Fleet())
    with pytest.raises(UnknownName, match="no queue was recorded yet"):
        getattr(metrics, name)(*QUEUE)
    fleet = Fleet()
    depths(fleet, [1], labels=("broker", "emails"))
    with pytest.raises(UnknownName, match="did you mean 'emails'"):
        getattr(reading(driver, fleet), name)("broker", "email")


def test_an_answer_that_is_not_there_says_why_and_what_to_do(driver: StorageDriver) -> None:
    fleet = Fleet()
    ended(fleet, [3, 4], asked=False)
    metrics = reading(driver, fleet)
    found = metrics.trend(*QUEUE)
    assert (found.available, found.statistics, found.trend, found.forecast, found.data_points) == (False, None, None, None, 0)
    assert found.message is not None
    assert "nobody asked the broker" in found.message
    assert "[connections." in found.message
    assert found.verdict.direction is Direction.UNKNOWN
    later = connect(driver, now=lambda: NOW + 4_000).throughput(*QUEUE)
    assert (later.available, later.statistics, later.trend) == (False, None, None)
    assert later.message is not None
    assert "Start an instrumented worker" in later.message


def test_throughput_counts_whole_minutes(driver: StorageDriver) -> None:
    """By hand: 1 to 60 executions a minute, 1,830 together; what ended in the open minute is not told yet."""
    fleet = Fleet()
    ended(fleet, [*range(1, 61)])
    ended(fleet, [7], last=0)
    found = reading(driver, fleet).throughput(*QUEUE)
    assert found.values == tuple(map(float, range(1, 61)))
    assert found.statistics is not None
    assert dataclasses.asdict(found.statistics) == {
        "total_jobs": 1830,
        "average_per_interval": 30.5,
        "jobs_per_minute": 30.5,
        "jobs_per_hour": 1830.0,
        "jobs_per_second": 1830 / 3600,
        "observed_seconds": 3600,
    }
    assert found.trend is not None
    assert (found.trend.slope, found.trend.direction, found.trend.confidence, found.forecast) == (0.0167, "increasing", None, None)
    assert found.verdict.direction is Direction.GROWING
    assert found.verdict.slope_per_second == pytest.approx(1 / 60)


@pytest.mark.parametrize(("numbers", "direction"), [([1, 2, 3], "increasing"), ([3, 2, 1], "decreasing"), ([2, 2, 2], "stable")])
def test_the_direction_of_throughput_is_the_sign_of_its_slope(numbers: list[int], direction: str) -> None:
    fleet, driver = Fleet(), MemoryStorageDriver()
    ended(fleet, numbers)
    trend = reading(driver, fleet).throughput(*QUEUE).trend
    assert trend is not None
    assert trend.direction == direction


def test_every_outcome_is_an_end(driver: StorageDriver) -> None:
    fleet = Fleet()
    outcomes = {"succeeded": 1, "failed": 2, "retried": 3, "timed_out": 4, "cancelled": 5, "lost": 6}
    fleet.queue(QUEUE, minute(3), counts={"started": 40, "arrivals": 50, **outcomes})
    statistics = reading(driver, fleet).throughput(*QUEUE).statistics
    assert statistics is not None
    assert statistics.total_jobs == 21


def test_a_quiet_minute_is_0_where_somebody_recorded_and_a_gap_where_nobody_did(driver: StorageDriver) -> None:
    numbers = [5, None, 5, None, None, 5]
    asked, unasked = Fleet(), Fleet()
    ended(asked, numbers)
    ended(unasked, numbers, asked=False)
    found = reading(driver, asked).throughput(*QUEUE)
    assert (found.values, found.statistics and found.statistics.observed_seconds) == ((5.0, 5.0, 5.0), 180)
    # Where no broker is ever asked, a minute without a value is one in which nothing ended.
    found = reading(MemoryStorageDriver(), unasked).throughput(*QUEUE)
    assert (found.values, found.statistics and found.statistics.observed_seconds) == ((5.0, 0.0, 5.0, 0.0, 0.0, 5.0), 360)


def test_an_interval_that_was_recorded_in_part_counts_as_a_whole_one_or_not_at_all(driver: StorageDriver) -> None:
    """Intervals of ten minutes: of the first three were recorded, of the second six, of the third all."""
    fleet = Fleet()
    ended(fleet, [4, 4, 4, *[None] * 4, 5, 5, 5, 5, 5, 5, *[1] * 10])
    found = reading(driver, fleet).throughput(*QUEUE, interval_seconds=600)
    assert found.values == (50.0, 10.0)
    assert found.times == (float(minute(20)), float(minute(10)))
    assert found.statistics is not None
    assert (found.statistics.total_jobs, found.statistics.average_per_interval) == (52, 30.0)


@pytest.mark.parametrize(
    ("period", "interval", "answered"),
    [(3600, 3600, 3600), (3600, 7200, 3600), (3600, 14_400, 3600), (600, 3600, 600), (60, 14_400, 60), (3601, 14_400, 3660), (90, 61, 120)],
)
@pytest.mark.parametrize("seconds", [1.5, 45.0])
def test_an_interval_that_is_longer_than_the_period_is_answered_as_the_period_and_said(
    period: int, interval: int, answered: int, seconds: float
) -> None:
    """Of all three: one point within the period, one forecast as far ahead as that is long; passes are before or behind the half minute."""
    fleet, driver = Fleet(), MemoryStorageDriver()
    ended(fleet, [10] * 300)
    depths(fleet, [7] * 300)
    for back in range(300, -1, -1):
        if minute(back) + seconds <= NOW:
            add_efficiency(driver, EfficiencyRow(minute(back) + seconds, 60.0, Crew(Spent(15.0, 45.0), None, None, 1, 0, 1), {}, {}))
    metrics = reading(fleet=fleet, driver=driver)
    flow = metrics.throughput(*QUEUE, period_seconds=period, interval_seconds=interval)
    depth = metrics.trend(*QUEUE, period_seconds=period, interval_seconds=interval)
    busy = metrics.efficiency(period_seconds=period, interval_seconds=interval)
    assert (flow.values, depth.values, busy.values) == ((answered / 6,), (7.0,), (25.0,))
    assert isinstance(depth, DepthTrend)
    assert depth.forecast.next_timestamp == int(depth.times[0]) + answered
    assert NOW - period <= busy.times[0] <= NOW
    for found in (flow, depth, busy):
        assert (found.available, found.interval_seconds, found.time_window.sample_interval_seconds) == (True, answered, answered)
        assert (found.message is None) == (interval == answered)
        assert found.message is None or f"{interval} s is answered as {answered} s" in found.message


def test_where_no_interval_was_recorded_by_half_it_is_said_what_to_ask(driver: StorageDriver) -> None:
    fleet = Fleet()
    ended(fleet, [1] * 10)
    metrics = reading(driver, fleet)
    found = metrics.throughput(*QUEUE, interval_seconds=3600)
    assert not found.available
    assert found.message is not None
    assert "Only 10 min" in found.message
    assert "shorter interval" in found.message
    assert metrics.throughput(*QUEUE, interval_seconds=1200).available


def test_a_host_whose_clock_is_wrong_moves_its_own_points_only(driver: StorageDriver) -> None:
    """One host is two minutes ahead: what it says of minutes to come is not told yet, and no answer is shorter or negative for it."""
    fleet = Fleet()
    depths(fleet, [10] * 30)
    ended(fleet, [6] * 30, asked=False)
    for ahead in (1, 2):
        at = minute(-ahead)
        fleet.queue(QUEUE, at, counts={"started": 9, "succeeded": 9}, gauges={0: [((at + 5) * 1_000_000, 5_000)]})
    metrics = reading(driver, fleet)
    depth, flow = metrics.trend(*QUEUE), metrics.throughput(*QUEUE)
    assert depth.statistics is not None
    assert flow.statistics is not None
    assert (depth.statistics.max, depth.data_points, flow.statistics.total_jobs, flow.values) == (10, 30, 180, (6.0,) * 30)


@pytest.mark.parametrize("name", HOSTILE[:6])
def test_any_name_is_a_name(name: str) -> None:
    fleet, driver = Fleet(), MemoryStorageDriver()
    depths(fleet, [3, 3], labels=("broker", name))
    assert reading(driver, fleet).trend("broker", name).values == (3.0, 3.0)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 100_000), min_size=2, max_size=60))
def test_numbers_of_the_original_against_numpy_and_scipy(numbers: list[int]) -> None:
    fleet, driver = Fleet(), MemoryStorageDriver()
    depths(fleet, numbers)
    found = reading(driver, fleet).trend(*QUEUE)
    assert found.statistics is not None
    assert found.trend is not None
    assert found.forecast is not None
    x, y = np.array(found.times) - found.times[0], np.array(numbers, dtype=float)
    assert found.statistics.average == pytest.approx(float(y.mean()), abs=0.0051)
    assert found.statistics.std_dev == pytest.approx(statistics.pstdev(numbers), abs=0.0051)
    if len(set(numbers)) == 1:
        assert (found.trend.slope, found.trend.confidence, found.forecast.next_value) == (0.0, 0.0, float(numbers[0]))
        return
    line = stats.linregress(x, y)
    assert found.trend.slope == pytest.approx(line.slope, abs=0.000051)
    assert found.trend.confidence == pytest.approx(line.rvalue**2, abs=0.00051)
    slope, height = np.polyfit(x, y, 1)
    assert found.forecast.next_value == pytest.approx(max(0.0, slope * (x[-1] + 60) + height), abs=0.006)


def test_what_a_store_keeps_for_less_than_the_period_is_said() -> None:
    fleet = Fleet()
    depths(fleet, [3, 4])
    ended(fleet, [3, 4])
    driver = MemoryStorageDriver()
    driver.retention = {**RETENTION, (QUEUE_KIND, MINUTE): 7_200}
    metrics = reading(driver, fleet)
    for ask in (metrics.trend, metrics.throughput):
        found = ask(*QUEUE, period_seconds=7_260)
        assert found.available
        assert found.message is not None
        assert "kept for 2 h 00 min (ttl.aggregated)" in found.message
        assert ask(*QUEUE, period_seconds=7_200).message is None
    found = metrics.throughput(*QUEUE, period_seconds=86_400, interval_seconds=14_400)
    assert not found.available
    assert "ttl.aggregated" in (found.message or "")


def test_reading_writes_nothing(tmp_path: Path) -> None:
    fleet = Fleet()
    depths(fleet, [*range(30)])
    driver = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    metrics = reading(driver, fleet)
    before = (tmp_path / "m.db").read_bytes(), (tmp_path / "m.db-wal").read_bytes()
    for ask in (metrics.trend, metrics.throughput):
        assert ask(*QUEUE).available
    assert ((tmp_path / "m.db").read_bytes(), (tmp_path / "m.db-wal").read_bytes()) == before
    driver.close()


def test_eight_days_of_minutes_are_all_read() -> None:
    value = Fleet()
    value.queue(QUEUE, minute(0), counts={"started": 2, "succeeded": 2}, gauges={0: [(1, 7)]})
    packed = value.rows[0][4]
    found = minutes([(minute(back), packed) for back in range(11_520, 0, -1)], minute(0))
    assert (len(found.starts), sum(found.ended), set(found.ready)) == (11_520, 23_040.0, {7.0})
    week = trends.throughput_trend(question(NOW, period_seconds=604_800), *QUEUE, found)
    assert (week.data_points, week.statistics and week.statistics.total_jobs) == (10_080, 20_160)
