"""Numbers of a stored value against numbers computed by hand or from the raw measurements."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_metrics._core import Value
from queue_metrics.insights import layout
from queue_metrics.insights.measures import counts, distribution, failure_share, lifetime, merged, share
from queue_metrics.model import Discard, Outcome


def test_counts_stand_where_the_format_says() -> None:
    value = Value.from_parts([100, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
    counted = counts(value)
    assert counted.started == 100
    assert counted.outcomes == {
        Outcome.SUCCEEDED: 1,
        Outcome.FAILED: 2,
        Outcome.RETRIED: 3,
        Outcome.TIMED_OUT: 4,
        Outcome.CANCELLED: 5,
        Outcome.LOST: 6,
    }
    assert (counted.arrivals, counted.retries_following, counted.result_errors, counted.clock_skews) == (7, 8, 9, 10)
    assert list(counted.discarded.items()) == list(zip(Discard, (11, 12, 13, 14, 15), strict=True))
    assert (counted.ended, counted.failures) == (21, 12)


def test_a_distribution_keeps_its_word_about_its_error() -> None:
    numbers = [int(random.Random(7).lognormvariate(12, 1.5)) for _ in range(5000)]
    answer = distribution(Value.from_parts([], {layout.RUNTIME: numbers}, {}, 5), layout.RUNTIME)
    exact = sorted(numbers)
    assert answer.error_ratio == pytest.approx(0.0108, abs=0.0001)
    for quantile, told in ((0.5, answer.p50), (0.95, answer.p95), (0.99, answer.p99)):
        assert told == pytest.approx(exact[math.ceil(quantile * 5000) - 1] / 1e6, rel=answer.error_ratio)
    assert (answer.n, answer.min, answer.max) == (5000, exact[0] / 1e6, exact[-1] / 1e6)
    assert answer.mean == pytest.approx(statistics.fmean(numbers) / 1e6, rel=1e-12)
    assert answer.deviation == pytest.approx(statistics.stdev(numbers) / 1e6, rel=0.02)


def test_memory_is_in_bytes_and_its_change_has_no_quantiles() -> None:
    value = Value.from_parts([], {layout.MEMORY_PEAK: [100, 300], layout.MEMORY_CHANGE: [-50, 10]}, {}, 5)
    peak, change = distribution(value, layout.MEMORY_PEAK), distribution(value, layout.MEMORY_CHANGE)
    assert (peak.unit, peak.mean, peak.max) == ("bytes", 200.0, 300)
    assert (change.mean, change.min, change.p95, change.error_ratio) == (-20.0, -50, None, None)


def test_what_was_never_measured_is_unknown_and_not_zero() -> None:
    answer = distribution(Value(), layout.CPU)
    assert (answer.n, answer.mean, answer.p50, answer.p95, answer.min, answer.max, answer.error_ratio) == (0, *[None] * 6)


@pytest.mark.parametrize(
    ("part", "n", "low", "high"),
    # The interval by R: prop.test(correct = FALSE) / binom::binom.wilson
    [(0, 10, 0.0, 0.2775328), (1, 3, 0.0614919, 0.7923404), (5, 10, 0.2365931, 0.7634069), (10, 10, 0.7224672, 1.0)],
)
def test_the_interval_is_that_of_wilson(part: int, n: int, low: float, high: float) -> None:
    answer = share(part, n)
    assert answer.ratio == part / n
    assert (answer.low, answer.high) == pytest.approx((low, high), abs=1e-6)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_an_interval_holds_its_ratio_and_stays_within_0_and_1(part: int, rest: int) -> None:
    answer = share(part, part + rest)
    if answer.ratio is None or answer.low is None or answer.high is None:
        assert part + rest == 0
    else:
        assert 0 <= answer.low <= answer.ratio <= answer.high <= 1


def test_a_retried_or_cancelled_execution_is_neither_success_nor_failure() -> None:
    answer = failure_share(counts(Value.from_parts([20, 6, 2, 5, 1, 4, 1])))
    assert (answer.part, answer.n) == (4, 10)


def test_a_lifetime_has_cumulative_steps_that_end_in_all() -> None:
    counters = [0] * 87
    counters[32], counters[34], counters[54], counters[86] = 2, 3, 1, 4
    ever = lifetime(Value.from_parts(counters, {layout.CPU: [1_500_000, 500_000]}, {}, 5))
    assert ever.runtime.cumulative[:4] == (2, 2, 5, 5)
    assert (ever.runtime.cumulative[-1], ever.runtime.n) == (5, 6)
    assert (ever.wait.cumulative[-1], ever.wait.n) == (0, 4)
    assert ever.runtime.bounds_seconds[0] == 0.001
    assert ever.runtime.bounds_seconds[-1] == 21600.0
    assert (ever.cpu.n, ever.cpu.sum) == (2, 2.0)


def test_merging_minutes_is_as_if_all_had_happened_in_one() -> None:
    numbers = list(range(1, 1000, 7))
    apart = merged(Value.from_parts([1], {0: [number]}, {}, 5) for number in numbers)
    assert apart.encode() == Value.from_parts([len(numbers)], {0: numbers}, {}, 5).encode()
