"""The flow test against independent arithmetic, and how often its intervals hold the truth."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_metrics import _core

RUNS = 1_000
COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=80).filter(any)


def exact_rate(counts: list[int], seconds: int) -> tuple[Fraction, Fraction]:
    """Events a second and the variance of its logarithm, without a rounding."""
    total, mean = Fraction(sum(counts)), Fraction(sum(counts), len(counts))
    dispersion = sum(((count - mean) ** 2 for count in counts), Fraction(0)) / (len(counts) - 1) / mean
    return total / (seconds * len(counts)), max(dispersion, 1 / total) / total


def rate(counts: list[int], seconds: float) -> _core.Rate:
    found = _core.Rate.of_counts([float(count) for count in counts], seconds)
    assert found is not None
    return found


@given(COUNTS, st.integers(1, 3600), COUNTS, st.integers(1, 3600))
def test_rates_and_load_are_those_of_exact_arithmetic(one: list[int], seconds: int, other: list[int], others: int) -> None:
    arrivals, capacity = rate(one, seconds), rate(other, others)
    (a, a_variance), (c, c_variance) = exact_rate(one, seconds), exact_rate(other, others)
    assert arrivals.per_second == pytest.approx(float(a), rel=1e-14)
    assert arrivals.variance == pytest.approx(float(a_variance), rel=1e-12)
    assert arrivals.size == pytest.approx(float(1 / a_variance), rel=1e-12)
    flow = _core.Flow(arrivals, capacity)
    error = math.sqrt(a_variance + c_variance)
    assert flow.load == pytest.approx(float(a / c), rel=1e-13)
    assert flow.load_error == pytest.approx(error, rel=1e-12)
    assert flow.growing == pytest.approx(NormalDist().cdf(math.log(a / c) / error), rel=1e-9, abs=1e-15)
    assert flow.drift == pytest.approx(float(a - c), abs=1e-13 * float(a + c))
    spread = NormalDist().inv_cdf(0.95) * math.sqrt(a**2 * a_variance + c**2 * c_variance)
    low, high = flow.drift_interval(0.9)
    assert (high - low) / 2 == pytest.approx(spread, rel=1e-9)


def test_slots_end_executions_by_their_mean_run_time() -> None:
    found = _core.Rate.of_slots(4, 30, 1800, 1.5)
    assert found is not None
    assert (found.per_second, found.variance, found.size) == (4 / 60, 0.05, 20.0)
    assert _core.Rate.of_slots(4, 0, 0, 1) is None


def test_without_a_window_there_is_no_rate_and_without_an_event_half_of_one() -> None:
    assert _core.Rate.of_counts([], 60) is None
    assert rate([0, 0], 60) == rate([0], 120)
    assert rate([0, 0], 60).per_second == 0.5 / 120


def test_what_is_no_count_is_refused() -> None:
    with pytest.raises(ValueError, match=r"counts\[1\]"):
        _core.Rate.of_counts([1.0, -1.0], 60)
    with pytest.raises(ValueError, match="seconds"):
        _core.Rate.of_counts([1.0], 0)
    with pytest.raises(ValueError, match="slots"):
        _core.Rate.of_slots(0, 1, 1, 1)


@pytest.mark.parametrize(("burst", "workers"), [(1, 4), (1, 20), (5, 4)])
def test_nine_of_ten_intervals_hold_the_true_drift(burst: int, workers: int) -> None:
    """Arrivals one by one or in bursts, exponential run times; an hour of minutes, at loads from 0.7 to 1.3."""
    source = np.random.default_rng(20 + burst + workers)
    held = 0
    for _ in range(RUNS):
        load, mean = source.uniform(0.7, 1.3), 10.0
        true = load * workers / mean
        arrivals = source.poisson(true * 60 / burst, 60) * burst
        runtimes = source.exponential(mean, source.poisson(min(load, 1.0) * workers / mean * 3600))
        capacity = _core.Rate.of_slots(workers, len(runtimes), float(runtimes.sum()), float(runtimes.var() / runtimes.mean() ** 2))
        assert capacity is not None
        low, high = _core.Flow(rate(arrivals.tolist(), 60.0), capacity).drift_interval(0.9)
        held += low <= true - workers / mean <= high
    assert 0.87 * RUNS <= held <= 0.93 * RUNS
