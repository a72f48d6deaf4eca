"""Verdicts: their formulas by independent arithmetic, their thresholds on both sides, and how often they are wrong."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from queue_metrics._core import Series, theil_sen
from queue_metrics.insights.flow import FlowCase, arrivals, dedicated, flow_case, variation
from queue_metrics.insights.minutes import Minutes
from queue_metrics.insights.verdict import flow_verdict, line_verdict, unknown
from queue_metrics.insights.workers import Serving, workers
from queue_metrics.model import Direction
from queue_metrics.storage.base import Beat
from tests.support.fleet import NOW, heartbeat

RUNS = 1_000
MINUTES = [1.76e9 + 60.0 * number for number in range(60)]
NAN = math.nan


def hour(
    *,
    started: list[float] | None = None,
    arrived: list[float] | None = None,
    ready: list[float] | None = None,
    busy: float = 0.0,
    starts: list[int] | None = None,
    discarded: list[float] | None = None,
) -> Minutes:
    """Minutes in which everything ended that was started; `busy` seconds each execution."""
    n = len(started or arrived or ready or [])
    zeros = [0.0] * n
    begun, depth = started or zeros, ready or [NAN] * n
    at = starts or [60 * number for number in range(n)]
    spent = [busy * number for number in begun]
    columns = (begun, begun, discarded or zeros, arrived or zeros, begun, spent, depth, depth, [start + 50.0 for start in at])
    return Minutes(at, *map(Series, columns))


def case(minutes: Minutes, workers: int | None = None) -> FlowCase:
    found = flow_case(minutes, workers)
    assert isinstance(found, FlowCase)
    return found


def test_a_line_against_scipy() -> None:
    source = np.random.default_rng(3)
    for _ in range(50):
        values = 100 + source.normal(0, 5, 60) + source.uniform(-0.01, 0.01) * (np.array(MINUTES) - MINUTES[0])
        found = line_verdict(MINUTES, values.tolist(), 3600)
        slope = stats.theilslopes(values, np.array(MINUTES) - MINUTES[0]).slope
        assert found.slope_per_second == pytest.approx(slope, rel=1e-9)
        assert found.relative_change_per_hour == pytest.approx(slope * 3600 / values.mean(), rel=1e-9)
        line = theil_sen(np.array(MINUTES) - MINUTES[0], values)
        assert line is not None
        assert (found.slope_low, found.slope_high) == line.slope_interval(0.9)
        assert (found.probability, found.effective_n) == (line.growing, line.effective_size)
        assert found.margin_per_second == pytest.approx(values.mean() / 36_000)
        assert (found.n, found.flow) == (60, None)


def alike(noise: np.ndarray, by: float) -> np.ndarray:
    """Neighbours with an autocorrelation, of numbers that are independent."""
    for at in range(1, len(noise)):
        noise[at] = by * noise[at - 1] + math.sqrt(1 - by**2) * noise[at]
    return noise


@pytest.mark.parametrize("by", [0.0, 0.5, 0.8])
def test_a_series_without_a_trend_is_seldom_called_one(by: float) -> None:
    """A tenth of the time by chance alone; a plain t-test calls every other such series a trend where neighbours are alike."""
    source = np.random.default_rng(6)
    called, plain = 0, 0
    for _ in range(RUNS):
        noise = alike(source.normal(0, 1, 60), by)
        found = line_verdict(MINUTES, (50 + 10 * noise).tolist(), 3600)
        called += found.direction in (Direction.GROWING, Direction.DRAINING)
        plain += stats.linregress(range(60), noise).pvalue < 0.1
    assert called <= 0.15 * RUNS
    assert by < 0.8 or plain > 2 * called


def test_a_line_is_steady_within_a_tenth_of_its_mean_and_not_outside() -> None:
    """Perfect lines: the change over the window is all that counts."""
    for change, expected in ((9.9, Direction.STEADY), (-9.9, Direction.STEADY), (10.6, Direction.GROWING), (-10.6, Direction.DRAINING)):
        values = [100 + change * (number / 60 - 59 / 120) for number in range(60)]
        assert line_verdict(MINUTES, values, 3600).direction is expected
    values = [1 + 5 * number / 60 for number in range(60)]
    assert line_verdict(MINUTES, values, 3600, least_margin=5.1).direction is Direction.STEADY
    assert line_verdict(MINUTES, values, 3600, least_margin=4.9).direction is Direction.GROWING


def test_counts_of_which_most_are_alike_are_not_steady_for_that() -> None:
    """So many pairs of 240 counts around 1 and 2 are alike that the median of the slopes of bare counts is 0: a doubling unseen."""
    source = np.random.default_rng(4)
    times = [1.76e9 + 60.0 * number for number in range(240)]
    for before, after, expected in ((1.0, 2.0, Direction.GROWING), (2.0, 1.0, Direction.DRAINING)):
        counts = source.poisson(np.linspace(before, after, 240)).astype(float)
        assert theil_sen(np.arange(240.0), counts).slope == 0.0  # type: ignore[union-attr]
        found = line_verdict(times, counts.tolist(), 14_400)
        assert found.direction is expected
        assert found.slope_per_second == pytest.approx((after - before) / 14_400, rel=0.5)
    alike = line_verdict(times, [3.0] * 240, 14_400)
    assert (alike.direction, alike.slope_low, alike.slope_high) == (Direction.STEADY, 0.0, 0.0)


def test_noise_is_no_steadiness() -> None:
    source = np.random.default_rng(8)
    found = line_verdict(MINUTES, (50 + source.normal(0, 40, 60)).tolist(), 3600)
    assert found.direction is Direction.UNKNOWN
    assert found.reason.startswith("it may rise or fall")


def test_four_points_are_no_evidence_and_five_may_be() -> None:
    assert line_verdict(MINUTES, [1.0, 2.0, 3.0, 4.0], 3600).direction is Direction.UNKNOWN
    five = line_verdict(MINUTES[:5], [1.0, 2.0, 3.0, 4.0, 5.0], 300)
    assert (five.direction, five.probability, five.n) == (Direction.GROWING, 1.0, 5)
    assert line_verdict([], [], 3600).n == 0
    assert unknown("why", 3).reason == "why"


def test_arrivals_are_recorded_or_told_by_starts_and_depth() -> None:
    def told(minutes: Minutes) -> tuple[list[float], str]:
        found = arrivals(minutes)
        assert found is not None
        return list(found[0]), found[1]

    recorded = hour(started=[5.0] * 4, arrived=[6.0] * 4, ready=[1.0, 2.0, 3.0, 4.0])
    assert told(recorded) == ([6.0] * 4, "arrivals")
    # Half of the producers record nothing: starts and depth tell more.
    partly = hour(started=[5.0] * 4, arrived=[3.0] * 4, ready=[1.0, 2.0, 3.0, 4.0])
    assert told(partly) == ([6.0] * 3, "starts and depth")
    gap = hour(started=[5.0] * 3, ready=[1.0, 2.0, 9.0], starts=[0, 60, 180], discarded=[0.0, 2.0, 0.0])
    assert told(gap) == ([8.0], "starts and depth")
    assert told(hour(started=[5.0, 5.0], ready=[9.0, 1.0])) == ([0.0], "starts and depth")
    assert arrivals(hour(started=[5.0] * 4)) is None
    assert told(hour(started=[5.0] * 4, arrived=[1.0] * 4)) == ([1.0] * 4, "arrivals")


def test_a_flow_of_four_workers_by_hand() -> None:
    """40 arrivals in 8 minutes; 30 executions of 15 s, all alike: a capacity of 4 / 15 a second."""
    minutes = hour(started=[3.0, 4.0, 3.0, 4.0, 4.0, 4.0, 4.0, 4.0], arrived=[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], busy=15.0)
    found = case(minutes, 4)
    assert (found.arrivals_from, found.capacity_from, found.slots, found.n) == ("arrivals", "workers", 4.0, 70)
    assert found.capacity.per_second == pytest.approx(4 / 15)
    assert found.flow.load == pytest.approx(40 / 480 / (4 / 15))
    assert found.flow.load_error == pytest.approx(math.sqrt(32 / 35 / 40))
    assert found.flow.growing == pytest.approx(NormalDist().cdf(math.log(40 / 480 / (4 / 15)) / math.sqrt(32 / 35 / 40)), rel=1e-9)


def test_more_slots_than_workers_are_counted_when_they_were_busy() -> None:
    """One process of ten threads: it was busy for ten times the time."""
    minutes = hour(started=[60.0] * 20, arrived=[60.0] * 20, busy=10.0, ready=[0.0] * 20)
    found = case(minutes, 1)
    assert found.slots == 10.0
    assert found.flow.load == pytest.approx(1.0)
    assert flow_verdict(found, minutes=20, ready=0, mean_ready=0, period=1200).direction is Direction.STEADY


def test_shared_workers_have_the_capacity_that_was_seen_while_jobs_waited() -> None:
    minutes = hour(started=[2.0, 5.0, 5.0, 5.0, 5.0, 5.0], ready=[0.0, 4.0, 8.0, 12.0, 16.0, 20.0])
    found = case(minutes)
    # The first minute that began with waiting jobs is the third.
    assert (found.capacity.per_second, found.capacity_from, found.slots) == (20 / 240, "starts while jobs waited", None)
    assert (found.arrivals.per_second, found.arrivals_from) == (45 / 300, "starts and depth")
    seldom = hour(started=[5.0] * 6, ready=[0.0, 4.0, 3.0, 0.0, 0.0, 0.0])
    assert isinstance(flow_case(seldom, None), str)
    assert isinstance(flow_case(hour(started=[5.0] * 6), 4), str)


@pytest.mark.parametrize(
    ("arrived", "ready", "minutes", "expected"),
    [
        (30.0, 100.0, 60, Direction.GROWING),
        (30.0, 0.0, 60, Direction.UNKNOWN),
        (30.0, 100.0, 9, Direction.UNKNOWN),
        (30.0, 100.0, 10, Direction.GROWING),
        (24.0, 100.0, 60, Direction.STEADY),
        (12.0, 100.0, 60, Direction.DRAINING),
        (12.0, 24.0, 60, Direction.STEADY),
        (12.0, 25.0, 60, Direction.DRAINING),
    ],
)
def test_directions_of_a_flow(arrived: float, ready: float, minutes: int, expected: Direction) -> None:
    """Four workers start 24 a minute."""
    found = case(hour(started=[24.0] * minutes, arrived=[arrived] * minutes, busy=10.0), 4)
    verdict = flow_verdict(found, minutes=minutes, ready=ready, mean_ready=ready, period=3600)
    assert verdict.direction is expected
    assert verdict.flow is not None
    assert verdict.flow.load == pytest.approx(arrived / 24)
    assert verdict.flow.load_low <= verdict.flow.load <= verdict.flow.load_high
    assert verdict.slope_per_second == pytest.approx((arrived - 24) / 60)


def test_the_variation_of_run_times_is_found_in_the_means_of_minutes() -> None:
    source = np.random.default_rng(9)
    found = []
    for _ in range(200):
        sizes = source.integers(1, 40, 60)
        runs = [source.exponential(10.0, size) for size in sizes]
        zeros = Series([0.0] * 60)
        counts, sums = Series(sizes.tolist()), Series([float(run.sum()) for run in runs])
        found.append(variation(Minutes(range(60), counts, counts, zeros, zeros, counts, sums, zeros, zeros, zeros)))
    assert np.mean(found) == pytest.approx(1.0, abs=0.05)
    assert variation(hour(started=[3.0] * 9, busy=2.0)) == 0.0
    assert variation(hour(started=[3.0], busy=2.0)) == 1.0


def test_workers_of_this_queue_alone_are_slots() -> None:
    def found(*pages: bytes, ages: float = 1.0) -> int | None:
        beats = [Beat(str(number), page, ages) for number, page in enumerate(pages)]
        answers, _ = workers(beats, NOW, stale_seconds=60, lost_seconds=300)
        return dedicated(answers, "broker", "mail")

    mine = heartbeat(queue="mail")
    assert found(mine, heartbeat(queue="mail", pid=2), heartbeat(queue="other"), heartbeat(queue="mail", connection="b")) == 2
    assert found(mine, heartbeat(queue="other,mail")) is None
    assert found(mine, heartbeat(queue="")) is None
    assert found(heartbeat(queue="other")) is None
    assert found(mine, heartbeat(queue="mail", state="stopped"), heartbeat(queue="mail", role="producer")) == 1
    assert found(mine, ages=61.0) is None


def test_a_child_that_runs_a_job_of_one_queue_serves_all_of_its_main_process() -> None:
    """A heartbeat names the queue of the job that runs: all children may be busy with one queue at the moment, and serve two."""
    main = heartbeat(role="main", pid=10, queue="mail,reports")
    children = [heartbeat(pid=pid, parent_pid=10, state="busy", queue="mail") for pid in (11, 12)]
    answers, _ = workers([Beat(str(at), page, 1.0) for at, page in enumerate([main, *children])], NOW, stale_seconds=60, lost_seconds=300)
    assert dedicated(answers, "broker", "mail") is None
    assert len(Serving(answers).of("broker", "mail")) == len(Serving(answers).of("broker", "reports")) == 2
