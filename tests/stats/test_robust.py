"""Medians, autocorrelation, dispersion, Wilson's interval and the weighted mean, against exact arithmetic, numpy and scipy."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from queue_metrics import _core
from tests.stats.exact import KINDS, badly_placed, numbers, off


def middle(values: list[Any]) -> Any:
    """The median of numbers that may be exact."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 3, 16, 501, 9000])
def test_median_and_deviation_against_numpy_and_scipy(kind: str, n: int) -> None:
    values = badly_placed(n, n, kind)
    assert _core.median(values) == np.median(values)
    found = _core.median_and_mad(values)
    assert found is not None
    assert found == (np.median(values), stats.median_abs_deviation(values))


@given(numbers(1))
def test_median_and_deviation_are_the_exact_ones(values: list[float]) -> None:
    found = _core.median_and_mad(values)
    assert found is not None
    assert found[0] == float(middle([Fraction(value) for value in values]))
    exact = middle([abs(Fraction(value) - middle([Fraction(each) for each in values])) for value in values])
    assert off(found[1], exact, max(map(abs, values), default=0.0)) <= 1


def test_the_factor_makes_a_deviation_of_the_normal_distribution() -> None:
    assert pytest.approx(1 / stats.norm.ppf(0.75), rel=1e-15) == _core.MAD_TO_DEVIATION
    found = _core.median_and_mad(np.random.default_rng(3).normal(50, 4, 20_000))
    assert found is not None
    assert found[1] * _core.MAD_TO_DEVIATION == pytest.approx(4, rel=0.03)


@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 6)), max_size=30))
def test_a_weight_is_so_many_of_the_number(pairs: list[tuple[int, int]]) -> None:
    repeated = [float(value) for value, weight in pairs for _ in range(weight)]
    expected = float(np.median(repeated)) if repeated else None
    values, weights = [float(value) for value, _ in pairs], [weight / 8 for _, weight in pairs]
    assert _core.weighted_median(values, weights) == expected


def lags_of(values: list[float], most: int) -> list[Fraction]:
    exact = [Fraction(value) for value in values]
    mean = sum(exact, Fraction(0)) / len(exact)
    apart = [value - mean for value in exact]
    whole = sum((each * each for each in apart), Fraction(0))
    return [sum((a * b for a, b in zip(apart, apart[lag:], strict=False)), Fraction(0)) / whole for lag in range(most + 1)]


@pytest.mark.parametrize("kind", KINDS)
def test_autocorrelation_without_a_rounding(kind: str) -> None:
    for n in (2, 3, 40, 300):
        values = [float(value) for value in badly_placed(n + 9, n, kind)]
        if len(set(values)) < 2:
            assert _core.autocorrelations(values, 5) is None
            continue
        found = _core.autocorrelations(array("d", values), 5)
        assert found is not None
        exact = lags_of(values, min(5, n - 1))
        assert len(found) == len(exact)
        for lag, (one, other) in enumerate(zip(found, exact, strict=True)):
            assert off(one, other, 1.0) <= 64
            assert _core.autocorrelation(values, lag) == one
    assert _core.autocorrelation([1.0, 2.0], 2) is None
    assert _core.autocorrelation([7.0] * 9, 1) is None


def test_long_series_without_the_lock_give_the_same() -> None:
    values = np.random.default_rng(8).normal(0, 1, 20_000).cumsum()
    found = np.asarray(_core.autocorrelations(values, 30))
    apart = values - values.mean()
    expected = [1.0, *((apart[:-lag] * apart[lag:]).sum() / (apart**2).sum() for lag in range(1, 31))]
    assert found == pytest.approx(expected, rel=1e-9)
    assert _core.median(list(values)) == np.median(values)
    assert _core.weighted_median(values, np.ones(20_000)) == np.median(values)


def test_the_effective_size_of_an_autoregressive_series() -> None:
    """The mean of such a series varies as that of so many independent numbers: seen in 400 of them."""
    random, r, n = np.random.default_rng(21), 0.7, 400
    means, sizes = [], []
    for _ in range(400):
        noise, series = random.normal(0, 1, n + 100), [0.0]
        for each in noise:
            series.append(r * series[-1] + each)
        means.append(np.mean(series[-n:]))
        sizes.append(_core.effective_size(series[-n:]))
    by_variance = (1 / (1 - r * r)) / np.var(means)
    assert np.median(sizes) == pytest.approx(by_variance, rel=0.25)
    assert np.median(sizes) == pytest.approx(n * (1 - r) / (1 + r), rel=0.1)
    assert _core.effective_size([5.0] * 30) == 30
    assert _core.effective_size([]) == 0


def test_dispersion_of_counts() -> None:
    random = np.random.default_rng(4)
    poisson = random.poisson(20, 5000).astype(float)
    assert _core.dispersion_index(poisson) == pytest.approx(np.var(poisson, ddof=1) / poisson.mean(), rel=1e-12)
    assert _core.dispersion_index(poisson) == pytest.approx(1, abs=4 * math.sqrt(2 / 4999))
    bursts = 10 * random.poisson(2, 5000)
    assert _core.dispersion_index(bursts.astype(float)) == pytest.approx(10, rel=0.1)
    far = [1e15 + each for each in (0.0, 2.0, 4.0)]
    assert _core.dispersion_index(far) == pytest.approx(4 / (1e15 + 2), rel=1e-12)
    assert [_core.dispersion_index(counts) for counts in ([], [3.0], [0.0, 0.0], [3.0, 3.0])] == [None, None, None, 0.0]


@given(st.integers(0, 2000), st.integers(1, 2000), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_wilson_against_scipy(k: int, n: int, level: float) -> None:
    k = min(k, n)
    found = _core.wilson_interval(k, n, level)
    assert found is not None
    peer = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    assert found == pytest.approx((peer.low, peer.high), rel=1e-12, abs=1e-15)


def test_wilson_holds_where_naive_formulas_do_not() -> None:
    """One failure in 10^12: both ends to 12 digits of rational arithmetic."""
    found = _core.wilson_interval(1, 10**12, 0.95)
    assert found is not None
    z = Fraction(stats.norm.ppf(0.975))
    p, n = Fraction(1, 10**12), Fraction(10**12)
    centre, square = p + z * z / (2 * n), p * (1 - p) / n + z * z / (4 * n * n)
    root = z * Fraction(math.isqrt(square.numerator * square.denominator * 10**60), square.denominator * 10**30)
    for end, exact in zip(found, ((centre - root) / (1 + z * z / n), (centre + root) / (1 + z * z / n)), strict=True):
        assert end == pytest.approx(float(exact), rel=1e-12)
    assert _core.wilson_interval(0, 0, 0.9) is None
    low, high = _core.wilson_interval(0, 50, 0.9) or (1, 0)
    assert low == 0 < high < 0.06


def weighted(times: list[float], values: list[float], half_life: float) -> tuple[float, float | None, float]:
    """Mean, variance without bias and effective size, with weights as exact as a power of two is."""
    weights = [Fraction(2.0 ** ((time - times[-1]) / half_life)) for time in times]
    total, squares = sum(weights), sum(weight * weight for weight in weights)
    mean = sum(weight * Fraction(value) for weight, value in zip(weights, values, strict=True)) / total
    spread = sum(weight * (Fraction(value) - mean) ** 2 for weight, value in zip(weights, values, strict=True))
    freedom = total - squares / total
    return float(mean), float(spread / freedom) if freedom else None, float(total * total / squares)


@pytest.mark.parametrize("kind", KINDS)
def test_the_weighted_mean_over_uneven_gaps(kind: str) -> None:
    random = np.random.default_rng(12)
    times = [float(time) for time in 1.76e9 + random.exponential(30, 200).cumsum()]
    values = [float(value) for value in badly_placed(5, 200, kind)]
    ewma = _core.Ewma(600.0)
    means = [ewma.push(time, value) for time, value in zip(times, values, strict=True)]
    scale = max(map(abs, values))
    for count in (1, 2, 3, 50, 200):
        mean, _, _ = weighted(times[:count], values[:count], 600.0)
        assert off(means[count - 1], mean, scale) <= 4
    mean, variance, size = weighted(times, values, 600.0)
    assert ewma.mean == means[-1]
    assert ewma.effective_size == pytest.approx(size, rel=1e-10)
    assert ewma.variance == pytest.approx(variance, rel=1e-9)
    again = _core.Ewma(600.0)
    assert list(again.push_all(array("d", times), values)) == means
    assert (again.variance, means[0]) == (ewma.variance, values[0])


def test_at_equal_gaps_it_is_the_bias_corrected_average() -> None:
    """`m' = (a x + (1 - a) a x_1 + ...) / (1 - (1 - a)^n)`, as Adam corrects it."""
    half_life, values = 3.0, [4.0, 8.0, 15.0, 16.0, 23.0, 42.0]
    a, ewma = 1 - 2 ** (-1 / half_life), _core.Ewma(half_life)
    biased = 0.0
    for count, value in enumerate(values, 1):
        biased = (1 - a) * biased + a * value
        assert ewma.push(float(count), value) == pytest.approx(biased / (1 - (1 - a) ** count), rel=1e-14)


def test_threads_push_whole_numbers() -> None:
    ewma, count = _core.Ewma(1e9), 4000

    def push() -> None:
        for _ in range(count):
            ewma.push(0.0, 3.0)

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (ewma.mean, ewma.effective_size) == (3.0, 4.0 * count)


def test_what_is_refused_says_why_and_changes_nothing() -> None:
    one: list[Callable[[list[float]], object]] = [_core.median, _core.median_and_mad, _core.effective_size, _core.dispersion_index]
    for function in [*one, lambda values: _core.autocorrelation(values, 1), lambda values: _core.weighted_median(values, [1.0] * 9)]:
        for value in (math.nan, math.inf, -math.inf):
            with pytest.raises(ValueError, match=r"\[3\] is -?(nan|inf|NaN)"):
                function([1.0, 2.0, 3.0, value, *[5.0] * 5])
        with pytest.raises(TypeError):
            function("text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"weights\[1\] is below 0"):
        _core.weighted_median([1.0, 2.0], [1.0, -1.0])
    with pytest.raises(ValueError, match="one length"):
        _core.weighted_median([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match=r"counts\[0\] is below 0"):
        _core.dispersion_index([-1.0, 2.0])
    with pytest.raises(ValueError, match="k must be at most n"):
        _core.wilson_interval(3, 2, 0.9)
    with pytest.raises(OverflowError):
        _core.wilson_interval(-1, 2, 0.9)
    with pytest.raises(ValueError, match="level"):
        _core.wilson_interval(1, 2, 1.0)
    with pytest.raises(ValueError, match="half_life must be above 0"):
        _core.Ewma(0.0)
    ewma = _core.Ewma(60.0)
    ewma.push_all([1.0, 2.0], [3.0, 4.0])
    before = (ewma.mean, ewma.variance, ewma.effective_size)
    for time, value in ((1.0, 5.0), (math.nan, 5.0), (3.0, math.inf)):
        with pytest.raises(ValueError, match=r"time|value"):
            ewma.push(time, value)
        assert (ewma.mean, ewma.variance, ewma.effective_size) == before


def test_nothing_and_one() -> None:
    assert [_core.median([]), _core.median_and_mad([]), _core.weighted_median([], []), _core.autocorrelations([], 3)] == [None] * 4
    assert (_core.median([0.1]), _core.median_and_mad([0.1]), _core.weighted_median([0.1], [2.0])) == (0.1, (0.1, 0.0), 0.1)
    ewma = _core.Ewma(1.0)
    assert (ewma.mean, ewma.variance, ewma.effective_size) == (None, None, 0.0)
    assert (ewma.push(0.0, 0.1), ewma.variance, ewma.effective_size) == (0.1, None, 1.0)
